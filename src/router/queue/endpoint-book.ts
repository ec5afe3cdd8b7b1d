// What this router knows of each endpoint in the table: requests it has there, how much of their prompts is to be read, and
// whether it is to be left alone for a while. Refusals and failures block an endpoint; a newer table, newer keys or time lift the block.
import type { Refusal } from '../../api/data-path.ts';
import type { EndpointState } from '../../core/route/endpoint-pick.ts';
import { doublingMs, pickBackoffMs } from '../../core/route/retry.ts';
import type { RoutedEndpoint, RoutingTable } from '../../core/route/table.ts';
import type { Rng } from '../../lib/rng.ts';
import type { TableChange } from '../link/table-keeper.ts';

/** `Full` means that our share is momentarily wrong: try again soon. */
const FULL = { baseMs: 20, delayMsMax: 1000 };
/** The other refusals say that the table is behind; a newer one lifts the block earlier. */
const BEHIND = { baseMs: 100, delayMsMax: 2000 };
/** Failures: the breaker of the endpoint. Short, because the controller takes a broken instance out of the table. */
const FAILED = { baseMs: 100, delayMsMax: 2000 };
/** A key that was refused will not be accepted later; the agent's own change of keys is waited for. */
const STALE_KEY_MS = 5000;

type Reason = 'Full' | 'Behind' | 'Key' | 'Limited' | 'Failed';

interface Block {
  readonly reason: Reason;
  readonly untilMs: number;
}

/** Which section of the table ends a block before its time. */
const liftedBy: Readonly<Partial<Record<Reason, keyof TableChange>>> = { Behind: 'endpoints', Key: 'keys' };

interface Row {
  inFlight: number;
  /** Prompt tokens of each request that has had no content yet, the oldest first. */
  readonly unread: Set<{ readonly tokens: number }>;
  /** Blocks in a row: refusals and failures each wait longer every time. */
  refusals: number;
  failures: number;
  block: Block | undefined;
}

/** One request at one endpoint. */
export interface TakenShare {
  /** Its first content came: its prompt is read. */
  read(): void;
  /** It has left. Must be called once. */
  release(): void;
}

export interface EndpointBook {
  /** A new table: rows that are gone are forgotten once nothing is in flight there. */
  update(table: RoutingTable, change: TableChange): void;
  states(endpoints: readonly RoutedEndpoint[]): EndpointState[];
  /** `unreadTokens`: of its prompt; 0 when nobody will see when it is read. */
  take(instance: string, unreadTokens: number): TakenShare;
  /** Prompt tokens that wait at these behind the first prompt of each. */
  behindTokens(endpoints: readonly RoutedEndpoint[]): number;
  /** `isNews`: the table has not changed since the request was sent there. */
  refused(instance: string, refusal: Refusal, facts: { readonly nowMs: number; readonly isNews: boolean }): void;
  /** An upstream takes no more requests before this moment. */
  limited(instance: string, untilMs: number): void;
  /** There is no key for its slot yet. */
  keyMissing(instance: string, nowMs: number): void;
  failed(instance: string, nowMs: number): void;
  worked(instance: string): void;
}

export function createEndpointBook(rng: Rng): EndpointBook {
  const rows = new Map<string, Row>();
  const rowOf = (instance: string): Row => {
    const row = rows.get(instance) ?? { inFlight: 0, unread: new Set(), refusals: 0, failures: 0, block: undefined };
    rows.set(instance, row);
    return row;
  };
  const keyMissing = (instance: string, nowMs: number) => {
    rowOf(instance).block = { reason: 'Key', untilMs: nowMs + STALE_KEY_MS };
  };
  return {
    update(table, change) {
      const listed = new Set(table.endpoints.map((endpoint) => endpoint.instance));
      for (const [instance, row] of rows) {
        const section = row.block === undefined ? undefined : liftedBy[row.block.reason];
        if (section !== undefined && change[section]) row.block = undefined;
        if (!listed.has(instance) && row.inFlight === 0) rows.delete(instance);
      }
    },
    states: (endpoints) =>
      endpoints.map((endpoint) => {
        const row = rows.get(endpoint.instance);
        return {
          endpoint,
          inFlight: row?.inFlight ?? 0,
          unreadTokens: sumTokens(row?.unread ?? []),
          blockedUntilMs: row?.block?.untilMs ?? 0,
        };
      }),
    take(instance, unreadTokens) {
      const row = rowOf(instance);
      const prompt = { tokens: unreadTokens };
      row.inFlight += 1;
      if (unreadTokens > 0) row.unread.add(prompt);
      return {
        read: () => void row.unread.delete(prompt),
        release() {
          row.unread.delete(prompt);
          row.inFlight -= 1;
        },
      };
    },
    behindTokens: (endpoints) =>
      endpoints.reduce((sum, { instance }) => sum + sumTokens([...(rows.get(instance)?.unread ?? [])].slice(1)), 0),
    refused(instance, refusal, { nowMs, isNews }) {
      if (refusal === 'StaleKey' && isNews) keyMissing(instance, nowMs);
      else refuse(rowOf(instance), refusal !== 'Full' && isNews ? 'Behind' : 'Full', nowMs);
    },
    limited(instance, untilMs) {
      rowOf(instance).block = { reason: 'Limited', untilMs };
    },
    keyMissing,
    failed(instance, nowMs) {
      const row = rowOf(instance);
      if (isBlocked(row, 'Failed', nowMs)) return;
      row.failures += 1;
      row.block = { reason: 'Failed', untilMs: nowMs + pickBackoffMs(rng, row.failures, FAILED) };
    },
    worked(instance) {
      const row = rowOf(instance);
      row.refusals = 0;
      row.failures = 0;
      // Something has just ended there: there is room again.
      if (row.block?.reason === 'Full') row.block = undefined;
    },
  };
}

function sumTokens(prompts: Iterable<{ readonly tokens: number }>): number {
  let sum = 0;
  for (const { tokens } of prompts) sum += tokens;
  return sum;
}

function refuse(row: Row, reason: 'Full' | 'Behind', nowMs: number): void {
  if (isBlocked(row, reason, nowMs)) return;
  row.refusals += 1;
  row.block = { reason, untilMs: nowMs + doublingMs(row.refusals, reason === 'Full' ? FULL : BEHIND) };
}

/** Several requests that met the same trouble at once are one trouble. */
function isBlocked({ block }: Row, reason: Reason, nowMs: number): boolean {
  return block?.reason === reason && block.untilMs > nowMs;
}
