// What agents and routers say: their sessions, the last report of each slot, the demand of each router, and what each was
// told. Remembers and counts; never decides. Everything here is lost with the process and comes back with their hellos.
import { thirdPartyEngines } from '../api/engine-arguments.ts';
import {
  type Acknowledge,
  type AgentReport,
  agreeOnVersion,
  type Climb,
  type Demand,
  type InstanceReport,
  LINK_VERSION_SIM,
  LINK_VERSION_THIRD_PARTY,
  type ModelDemand,
  type SlotEngine,
} from '../api/link.ts';
import { adoptInstances } from '../core/plan/adopt.ts';
import { type ClimbTimes, learnClimb } from '../core/plan/climb.ts';
import type { Assignment, ClimbFailures, ModelLoad } from '../core/plan/snapshot.ts';
import type { Clock } from '../lib/clock.ts';
import type { AgentSession, RouterSession } from '../ports/link.ts';
import { ROUTER_GONE_MS } from './bounds.ts';

export interface AgentRecord {
  readonly podUid: string;
  /** Undefined while it is away. */
  session: AgentSession | undefined;
  lostAtMs: number;
  dataPort: number;
  /** The last one; while a new session has not reported, that of the session before. */
  report: AgentReport | undefined;
  reportedAtMs: number;
  /** This session has reported: now it can be told something. */
  hasReported: boolean;
  /** What it came with was taken over. */
  isAdopted: boolean;
  /** Climbs in a row that failed, and why the last one did, by revision. */
  readonly failures: Map<string, ClimbFailures>;
  /** Requests that engines were started for, by instance. */
  readonly places: Map<string, number>;
  assigned: readonly Assignment[];
  /** The last target, as text, what it was made of, and the session that it went to. */
  told: { readonly session: string; readonly stamp: string; readonly content: string } | undefined;
  /** When nothing was wanted awake in it any more; undefined while something is. */
  unusedSinceMs: number | undefined;
  leavingSinceMs: number | undefined;
  /** The session that was told that routers have let go. */
  withdrawnTo: string | undefined;
}

export interface RouterRecord {
  readonly session: RouterSession;
  demand: Demand | undefined;
  demandAtMs: number;
  /** Section versions that were sent and that it routes by. */
  readonly sent: Map<SectionName, { readonly version: number; readonly content: string }>;
  acknowledged: Acknowledge['versions'] | undefined;
}

export type SectionName = 'policy' | 'endpoints' | 'keys';

/** A router whose session has ended: it may still route by the keys that it acknowledged last. */
export interface DepartedRouter {
  readonly atMs: number;
  readonly keys: number;
}

/** What of a report is worth a new look: nothing, when only ages moved. */
export interface ReportNews {
  readonly isNews: boolean;
  readonly revisions: ReadonlySet<string>;
  /** Climbs that came up since the report before. */
  readonly climbs: readonly { readonly model: string; readonly climb: Climb }[];
}

export interface Fleet {
  readonly agents: ReadonlyMap<string, AgentRecord>;
  /** By router name. */
  readonly routers: ReadonlyMap<string, RouterRecord>;
  /** By router name, those that left within the last ROUTER_GONE_MS and have not come back. */
  readonly departed: ReadonlyMap<string, DepartedRouter>;
  /** True once any router said hello. */
  hasMetRouter(): boolean;
  openAgent(session: AgentSession): void;
  openRouter(session: RouterSession): void;
  closeAgent(session: AgentSession): void;
  closeRouter(session: RouterSession): void;
  report(session: AgentSession, report: AgentReport): ReportNews;
  /** Returns whether it changes anything. */
  demand(session: RouterSession, demand: Demand): boolean;
  acknowledge(session: RouterSession, message: Acknowledge): void;
  /** A slot whose Pod is gone. */
  forgetAgent(podUid: string): void;
  /** Measured climbs of a revision. */
  climbTimes(revision: string): ClimbTimes;
  forgetRevisionsExcept(revisions: ReadonlySet<string>): void;
}

export function createFleet(clock: Clock): Fleet {
  const agents = new Map<string, AgentRecord>();
  const routers = new Map<string, RouterRecord>();
  const departed = new Map<string, DepartedRouter>();
  const times = new Map<string, ClimbTimes>();
  let hasMetRouter = false;
  return {
    agents,
    routers,
    departed,
    hasMetRouter: () => hasMetRouter,
    openAgent(session) {
      const { podUid, dataPort } = session.hello;
      const record = agents.get(podUid) ?? createAgentRecord(podUid);
      agents.set(podUid, Object.assign(record, { session, dataPort, hasReported: false, told: undefined }));
    },
    openRouter(session) {
      hasMetRouter = true;
      const { name } = session.hello;
      departed.delete(name);
      routers.set(name, { session, demand: undefined, demandAtMs: 0, sent: new Map(), acknowledged: undefined });
    },
    closeAgent(session) {
      const record = agents.get(session.hello.podUid);
      if (record?.session !== session) return;
      record.session = undefined;
      record.lostAtMs = clock.nowMs();
    },
    closeRouter(session) {
      const { name } = session.hello;
      const record = routers.get(name);
      if (record?.session !== session) return;
      routers.delete(name);
      noteDeparture(departed, record, clock.nowMs());
    },
    report(session, report) {
      const record = agents.get(session.hello.podUid);
      if (record?.session !== session) return { isNews: false, revisions: new Set(), climbs: [] };
      return takeReport(record, report, { times, nowMs: clock.nowMs() });
    },
    demand(session, demand) {
      const record = routers.get(session.hello.name);
      if (record?.session !== session) return false;
      const isNews = record.demand === undefined || demandText(record.demand) !== demandText(demand);
      record.demand = demand;
      record.demandAtMs = clock.nowMs();
      return isNews;
    },
    acknowledge(session, message) {
      const record = routers.get(session.hello.name);
      if (record?.session === session) record.acknowledged = message.versions;
    },
    forgetAgent: (podUid) => void agents.delete(podUid),
    climbTimes: (revision) => times.get(revision) ?? {},
    forgetRevisionsExcept(revisions) {
      for (const revision of times.keys()) if (!revisions.has(revision)) times.delete(revision);
    },
  };
}

function noteDeparture(departed: Map<string, DepartedRouter>, record: RouterRecord, nowMs: number): void {
  for (const [name, { atMs }] of departed) if (nowMs - atMs >= ROUTER_GONE_MS) departed.delete(name);
  const keys = record.sent.has('keys') ? (record.acknowledged?.keys ?? 0) : 0;
  departed.set(record.session.hello.name, { atMs: nowMs, keys });
}

function createAgentRecord(podUid: string): AgentRecord {
  return {
    podUid,
    session: undefined,
    lostAtMs: 0,
    dataPort: 0,
    report: undefined,
    reportedAtMs: 0,
    hasReported: false,
    isAdopted: false,
    failures: new Map(),
    places: new Map(),
    assigned: [],
    told: undefined,
    unusedSinceMs: undefined,
    leavingSinceMs: undefined,
    withdrawnTo: undefined,
  };
}

function takeReport(
  record: AgentRecord,
  report: AgentReport,
  { times, nowMs }: { times: Map<string, ClimbTimes>; nowMs: number },
): ReportNews {
  const before = new Map((record.report?.instances ?? []).map((instance) => [instance.revision, instance]));
  const news = new Set<string>();
  const climbs: { model: string; climb: Climb }[] = [];
  for (const instance of report.instances) {
    const last = before.get(instance.revision);
    before.delete(instance.revision);
    if (last === undefined || reportText(last) !== reportText(instance)) news.add(instance.revision);
    const climb = noteClimb(record, last, instance, times);
    if (climb !== undefined) climbs.push({ model: instance.model, climb });
  }
  for (const gone of before.keys()) {
    news.add(gone);
    record.failures.delete(gone);
  }
  const isNews = news.size > 0 || !record.hasReported || slotText(record.report) !== slotText(report);
  Object.assign(record, { report, reportedAtMs: nowMs, hasReported: true } satisfies Partial<AgentRecord>);
  // A controller that never told it anything keeps what it finds, and one that cannot tell it anything takes what it sees.
  if (!record.isAdopted || isOutdated(record)) record.assigned = adoptInstances(report.instances);
  record.isAdopted = true;
  return { isNews, revisions: news, climbs };
}

/** Its versions and ours do not meet: it serves what it has, and is not commanded (DESIGN §14.1). */
export function isOutdated({ session }: AgentRecord): boolean {
  return session !== undefined && agreeOnVersion(session.hello.versions) === undefined;
}

const sinceThirdParty: ReadonlySet<SlotEngine> = new Set(thirdPartyEngines);
const sinceSim: ReadonlySet<SlotEngine> = new Set(['Sim', ...thirdPartyEngines]);
const nothing: ReadonlySet<SlotEngine> = new Set();

/** Engines that an agent's link version has no words for. */
export function listLacking({ session }: AgentRecord): ReadonlySet<SlotEngine> {
  const version = session === undefined ? undefined : agreeOnVersion(session.hello.versions);
  if (version === undefined || version >= LINK_VERSION_THIRD_PARTY) return nothing;
  return version < LINK_VERSION_SIM ? sinceSim : sinceThirdParty;
}

function noteClimb(
  record: AgentRecord,
  last: InstanceReport | undefined,
  now: InstanceReport,
  times: Map<string, ClimbTimes>,
): Climb | undefined {
  const { revision, rung } = now;
  if (rung === 'Failed' && last?.rung !== 'Failed') {
    const { reason = 'Failed', message = 'It gave no reason.' } = now.failure ?? {};
    record.failures.set(revision, {
      count: (record.failures.get(revision)?.count ?? 0) + 1,
      last: { reason, message },
    });
  }
  if (rung !== 'Awake' || !now.probed || last?.rung === 'Awake') return undefined;
  record.failures.delete(revision);
  if (now.climb !== undefined) times.set(revision, learnClimb(times.get(revision) ?? {}, now.climb));
  return now.climb;
}

/** What a report says of the slot itself. */
function slotText(report: AgentReport | undefined): string {
  return JSON.stringify([report?.terminating, report?.keyVersions]);
}

/** What of a report can change a plan; ages move by themselves. */
function reportText(instance: InstanceReport): string {
  const { id, rung, probed, inFlight, failure, engineBuild, probeSample } = instance;
  return JSON.stringify([id, rung, probed, inFlight > 0, failure?.reason, failure?.message, engineBuild, probeSample]);
}

function demandText(demand: Demand): string {
  return JSON.stringify(
    demand.models.map(({ model, queued, inFlight, wakeLeaseMs }) => [model, queued, inFlight, wakeLeaseMs > 0]),
  );
}

/** The demand of all routers by model. */
export function sumLoads(routers: Iterable<RouterRecord>, nowMs: number): ReadonlyMap<string, ModelLoad> {
  const loads = new Map<string, ModelLoad>();
  for (const { demand, demandAtMs } of routers) {
    const ageMs = nowMs - demandAtMs;
    for (const row of demand?.models ?? []) {
      const sum = loads.get(row.model) ?? { queued: 0, inFlight: 0, oldestQueuedMs: 0, wakeLeaseMs: 0 };
      loads.set(row.model, {
        queued: sum.queued + row.queued,
        inFlight: sum.inFlight + row.inFlight,
        oldestQueuedMs: Math.max(sum.oldestQueuedMs, row.queued > 0 ? row.oldestQueuedMs + ageMs : 0),
        wakeLeaseMs: Math.max(sum.wakeLeaseMs, row.wakeLeaseMs - ageMs),
        waitingTokens: [...(sum.waitingTokens ?? []), ...readWaiting(row)],
        engineTokens: (sum.engineTokens ?? 0) + (row.engineTokens ?? 0),
      });
    }
  }
  return loads;
}

/** Those that are not listed share what is left alike. */
function readWaiting({ queued, queuedTokens, waitingTokens = [] }: ModelDemand): number[] {
  const listed = waitingTokens.slice(0, queued);
  const rest = queued - listed.length;
  const left = Math.max(0, queuedTokens - listed.reduce((sum, tokens) => sum + tokens, 0));
  return [...listed, ...Array.from({ length: rest }, () => left / rest)];
}

/** Age of what routers said last, in milliseconds: of the freshest and of the stalest; endless without any. */
export function ageOfLoads(
  routers: ReadonlyMap<string, RouterRecord>,
  nowMs: number,
): { readonly newest: number; readonly oldest: number } {
  const ages = [...routers.values()].map(({ demand, demandAtMs }) =>
    demand === undefined ? Number.POSITIVE_INFINITY : nowMs - demandAtMs,
  );
  const endless = Number.POSITIVE_INFINITY;
  return { newest: Math.min(endless, ...ages), oldest: ages.length === 0 ? endless : Math.max(...ages) };
}
