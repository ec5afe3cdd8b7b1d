// Tells routers their tables: three sections, each sent only when it differs from what this session has. A section's version
// is the seq at which it changed, so it grows over sessions, too. Never keeps a router waiting for a section it lacks.
import { createHash } from 'node:crypto';
import {
  agreeOnVersion,
  type Endpoint,
  LINK_VERSION_UPSTREAMS,
  type ModelWarmth,
  type PolicyModel,
  TABLE_SLOTS_MAX,
  type Table,
  type Upstream,
  type UpstreamKey,
} from '../api/link.ts';
import { divideShares, type OpenInstance, type OpenUpstream, type RouterNeed } from '../core/plan/routing.ts';
import type { Fleet, RouterRecord, SectionName } from './fleet.ts';

export interface TableContent {
  /** These, the warmth and the upstreams are no more than a table takes: served-names.ts sees to that. */
  readonly policy: readonly PolicyModel[];
  readonly open: readonly OpenInstance[];
  readonly upstreams: { readonly open: readonly OpenUpstream[]; readonly keys: readonly UpstreamKey[] };
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
    const sectionsOf = createSections({ ...fitSlots(content), warmth: steady }, routers);
    let told = 0;
    for (const router of routers) {
      if (!content.isComplete && router.session.hello.fence.epoch > 0) continue;
      if (send(router, sectionsOf(router), options)) told += 1;
    }
    return told;
  };
}

/**
 * The hub has no more sessions than a table has room for. Slots that are away for a moment count beside those that came in their
 * place, and a table that is refused would cut every router off.
 */
function fitSlots(content: TableContent): TableContent {
  const [open, keys] = [content.open.slice(0, TABLE_SLOTS_MAX), content.keys.slice(0, TABLE_SLOTS_MAX)];
  return { ...content, open, keys };
}

/** What all routers are told alike is written once. */
function createSections(
  content: TableContent,
  routers: readonly RouterRecord[],
): (router: RouterRecord) => SectionTexts {
  const needs = routers.map(needOf);
  const [shares, parts] = [renderShares(content, needs), renderUpstreams(content, needs)];
  const policy = written({ models: [...content.policy] });
  const slots = [...content.keys];
  const [slotKeys, allKeys] = [written({ slots }), written({ slots, ...unlessEmpty(content.upstreams.keys) })];
  const older = hideUpstreams(content);
  return (router) => {
    const endpoints = shares.get(name(router)) ?? [];
    if (!speaksUpstreams(router)) return { policy, endpoints: written({ endpoints, warmth: older }), keys: slotKeys };
    const upstreams = unlessEmpty(parts.get(name(router)) ?? []);
    return { policy, endpoints: written({ endpoints, warmth: [...content.warmth], ...upstreams }), keys: allKeys };
  };
}

function written<Data>(data: Data): { readonly data: Data; readonly text: string } {
  return { data, text: JSON.stringify(data) };
}

/** Left out while there is none: a table without upstreams is the one that every version knows. */
function unlessEmpty<Row>(rows: readonly Row[]): { readonly upstreams?: Row[] } {
  return rows.length === 0 ? {} : { upstreams: [...rows] };
}

function speaksUpstreams({ session }: RouterRecord): boolean {
  return (agreeOnVersion(session.hello.versions) ?? 0) >= LINK_VERSION_UPSTREAMS;
}

/** A router of an earlier release has no way to upstreams: its callers are told so, and do not wait. */
function hideUpstreams({ warmth, upstreams }: TableContent): ModelWarmth[] {
  const remote = new Set(upstreams.open.map(({ model }) => model));
  const message = 'This router is of a release that cannot pass requests on to other addresses. Renew it.';
  const failure = { reason: 'RouterOutdated', message };
  return warmth.map((row) => (remote.has(row.model) ? { ...row, rung: 'Failed', failure } : row));
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

function renderUpstreams({ upstreams, turn }: TableContent, needs: readonly RouterNeed[]): Map<string, Upstream[]> {
  const rows = new Map<string, Upstream[]>(needs.map((need) => [need.name, []]));
  for (const { concurrency, ...row } of upstreams.open) {
    for (const [router, share] of divideShares({ model: row.model, concurrency }, needs, turn)) {
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
