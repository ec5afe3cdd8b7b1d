// Where every slot stands in the change of its key, from what agents report and routers acknowledge. Says which key a table
// carries and which ones an agent accepts. Lives in memory: a new controller begins with what agents say that they accept.
import { beginKeys, isChanging, type KeyFacts, type KeyState, listAccepted, stepKeys } from '../core/plan/slot-keys.ts';
import { KEY_IN_FLIGHT_MS, ROUTER_GONE_MS } from './bounds.ts';
import type { Fleet } from './fleet.ts';
import type { KeyRing } from './key-ring.ts';

export interface VersionedKey {
  readonly version: number;
  readonly key: string;
}

export interface KeyChanges {
  /**
   * Before tables are written: takes every slot on by one step where it may go on. `seq` is the highest that was used so far,
   * so a keys section with a higher version is younger than this step.
   */
  step(podUids: readonly string[], at: { readonly seq: number; readonly nowMs: number }): void;
  /** None while its agent has reported nothing: no table names an instance of the slot then. */
  carried(podUid: string): readonly VersionedKey[];
  accepted(podUid: string): VersionedKey[];
  /** Slots that are on their way to another version. */
  changing(): number;
}

interface Row {
  readonly state: KeyState;
  /** Keys sections above this carry the version. */
  readonly sinceSeq: number;
  /** Since when every router routes by it. */
  readonly routedAtMs?: number;
}

interface KeyChangesOptions {
  readonly fleet: Fleet;
  readonly ring: Pick<KeyRing, 'wanted' | 'key'>;
}

export function createKeyChanges({ fleet, ring }: KeyChangesOptions): KeyChanges {
  let rows: ReadonlyMap<string, Row> = new Map();
  let beganAtMs: number | undefined;
  const render = (podUid: string, version: number): VersionedKey => ({ version, key: ring.key(podUid, version) });
  return {
    step(podUids, { seq, nowMs }) {
      beganAtMs ??= nowMs;
      // Routers that the controller before knew may not have come yet.
      const isPictureOld = nowMs - beganAtMs >= ROUTER_GONE_MS;
      const areOn = judgeRouters(fleet, nowMs);
      const areRoutersOn = (sinceSeq: number) => isPictureOld && areOn(sinceSeq);
      const wanted = ring.wanted();
      const next = new Map<string, Row>();
      for (const podUid of podUids) {
        const accepted = fleet.agents.get(podUid)?.report?.keyVersions;
        if (accepted !== undefined)
          next.set(podUid, nextRow(rows.get(podUid), { wanted, accepted }, { seq, nowMs, areRoutersOn }));
      }
      rows = next;
    },
    carried(podUid) {
      const row = rows.get(podUid);
      return row === undefined ? [] : [render(podUid, row.state.carried)];
    },
    accepted(podUid) {
      const row = rows.get(podUid);
      const versions = row === undefined ? [] : listAccepted(row.state, ring.wanted());
      return versions.map((version) => render(podUid, version));
    },
    changing: () => [...rows.values()].filter(({ state }) => isChanging(state, ring.wanted())).length,
  };
}

function nextRow(
  row: Row | undefined,
  facts: KeyFacts,
  {
    seq,
    nowMs,
    areRoutersOn,
  }: { readonly seq: number; readonly nowMs: number; areRoutersOn(sinceSeq: number): boolean },
): Row {
  if (row === undefined) return { state: beginKeys(facts), sinceSeq: seq };
  const routed = areRoutersOn(row.sinceSeq) ? { routedAtMs: row.routedAtMs ?? nowMs } : {};
  // What a router sent before may still be on its way.
  const hasArrived = routed.routedAtMs !== undefined && nowMs - routed.routedAtMs >= KEY_IN_FLIGHT_MS;
  const state = stepKeys(row.state, { ...facts, areRoutersOn: hasArrived });
  return row.state.carried === state.carried ? { state, sinceSeq: row.sinceSeq, ...routed } : { state, sinceSeq: seq };
}

/** Whether every router routes by keys that are younger than `sinceSeq`, those that left a moment ago among them. */
function judgeRouters(fleet: Fleet, nowMs: number): (sinceSeq: number) => boolean {
  const lowest = Math.min(
    ...[...fleet.routers.values()].map(({ sent, acknowledged }) =>
      // What it acknowledged before this session sent it keys is a number of another controller.
      sent.has('keys') ? (acknowledged?.keys ?? 0) : 0,
    ),
    ...[...fleet.departed.values()].filter(({ atMs }) => nowMs - atMs < ROUTER_GONE_MS).map(({ keys }) => keys),
  );
  return (sinceSeq) => lowest > sinceSeq;
}
