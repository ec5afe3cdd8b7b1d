// Tells routers their tables: three sections, each sent only when it differs from what this session has. A section's version
// is the seq at which it changed, so it grows over sessions, too. Never keeps a router waiting for a section it lacks.
import { createHash } from 'node:crypto';
import type { Endpoint, ModelWarmth, PolicyModel, Table } from '../api/link.ts';
import { divideShares, type OpenInstance, type RouterNeed } from '../core/plan/routing.ts';
import type { Fleet, RouterRecord, SectionName } from './fleet.ts';

export interface TableContent {
  readonly policy: readonly PolicyModel[];
  readonly open: readonly OpenInstance[];
  readonly warmth: readonly ModelWarmth[];
  readonly keys: readonly { readonly podUid: string; readonly version: number; readonly key: string }[];
  /** False while a new controller has not heard every slot: a router that has a table keeps it until then. */
  readonly isComplete: boolean;
  /** Grows with time: routers that are more than there are places take turns by it. */
  readonly turn: number;
}

interface PublisherOptions {
  readonly fleet: Fleet;
  nextFence(): { readonly epoch: number; readonly seq: number };
}

/** Returns the function that brings every router up to date; it returns how many were told. */
export function createPublisher(options: PublisherOptions): (content: TableContent) => number {
  let warmth: ReadonlyMap<string, ModelWarmth> = new Map();
  return (content) => {
    const steady = content.warmth.map((row) => steadyWarmth(warmth.get(row.model), row));
    warmth = new Map(steady.map((row) => [row.model, row]));
    const routers = [...options.fleet.routers.values()].sort((a, b) => (name(a) < name(b) ? -1 : 1));
    const shares = renderShares(content, routers.map(needOf));
    const policy = { models: [...content.policy] };
    const keys = { slots: [...content.keys] };
    const texts = { policy: JSON.stringify(policy), keys: JSON.stringify(keys) };
    let told = 0;
    for (const router of routers) {
      if (!content.isComplete && router.session.hello.fence.epoch > 0) continue;
      const endpoints = { endpoints: shares.get(name(router)) ?? [], warmth: steady };
      const sections: SectionTexts = {
        policy: { data: policy, text: texts.policy },
        endpoints: { data: endpoints, text: JSON.stringify(endpoints) },
        keys: { data: keys, text: texts.keys },
      };
      if (send(router, sections, options)) told += 1;
    }
    return told;
  };
}

const name = (router: RouterRecord) => router.session.hello.name;

function needOf(router: RouterRecord): RouterNeed {
  const wanted = (router.demand?.models ?? []).filter(({ queued, inFlight }) => queued + inFlight > 0);
  return { name: name(router), models: new Set(wanted.map(({ model }) => model)) };
}

/** Rows by router. A router without a part of an instance has no row of it. */
function renderShares(content: TableContent, needs: readonly RouterNeed[]): ReadonlyMap<string, Endpoint[]> {
  const rows = new Map<string, Endpoint[]>(needs.map((need) => [need.name, []]));
  for (const instance of content.open) {
    const { concurrency: _concurrency, ...row } = instance;
    for (const [router, share] of divideShares(instance, needs, content.turn)) {
      if (share > 0) rows.get(router)?.push({ ...row, share });
    }
  }
  return rows;
}

type SectionTexts = {
  readonly [Name in SectionName]: { readonly data: NonNullable<Table[Name]>['data']; readonly text: string };
};

function send(router: RouterRecord, sections: SectionTexts, options: PublisherOptions): boolean {
  const changed = (['policy', 'endpoints', 'keys'] as const).filter(
    (section) => router.sent.get(section)?.content !== sections[section].text,
  );
  if (changed.length === 0) return false;
  const fence = options.nextFence();
  const part = <Name extends SectionName>(section: Name) => {
    const { data, text } = sections[section];
    return { version: fence.seq, hash: createHash('sha256').update(text).digest('hex'), data };
  };
  const isSent = router.session.send({
    type: 'table',
    ...fence,
    ...(changed.includes('policy') ? { policy: part('policy') } : {}),
    ...(changed.includes('endpoints') ? { endpoints: part('endpoints') } : {}),
    ...(changed.includes('keys') ? { keys: part('keys') } : {}),
  });
  if (!isSent) return false;
  for (const section of changed) router.sent.set(section, { version: fence.seq, content: sections[section].text });
  return true;
}

/** Smaller differences of an estimate are not worth a message: routers count down by themselves. */
const ETA_MS_NOTABLE = 500;
const ETA_SHARE_NOTABLE = 0.25;

function steadyWarmth(before: ModelWarmth | undefined, now: ModelWarmth): ModelWarmth {
  if (before === undefined || before.rung !== now.rung) return now;
  if (before.failure?.message !== now.failure?.message || before.failure?.reason !== now.failure?.reason) return now;
  const isClimbing = now.rung === 'Starting' || now.rung === 'Waking';
  const notable = Math.max(ETA_MS_NOTABLE, before.etaMs * ETA_SHARE_NOTABLE);
  return isClimbing || Math.abs(before.etaMs - now.etaMs) <= notable ? before : now;
}

/** Whether every live router routes by its latest endpoints. */
export function areEndpointsAcknowledged(fleet: Fleet): boolean {
  return [...fleet.routers.values()].every((router) => {
    const sent = router.sent.get('endpoints');
    return sent === undefined || (router.acknowledged?.endpoints ?? 0) >= sent.version;
  });
}
