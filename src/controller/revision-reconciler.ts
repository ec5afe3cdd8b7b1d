// Reconciles one ModelRevision: keeps the probe of the first verified start of each class and build, and says whether what
// runs is what was pinned. Never changes a spec, which nobody may, and never replaces a probe that is kept.

import { isPinnedBuild } from '../api/engine-image.ts';
import { type Condition, setCondition } from '../api/group.ts';
import { kinds } from '../api/kinds.ts';
import type { InstanceReport } from '../api/link.ts';
import type { ModelRevision, ModelRevisionStatus } from '../api/model-revision.ts';
import { probeKey } from './launch.ts';
import type { World } from './observe.ts';
import type { ControllerOptions } from './options.ts';
import type { RevisionHold } from './revision-hold.ts';
import type { Staging, StagingView } from './staging.ts';
import { writeStatus } from './status.ts';
import type { Steering } from './steering.ts';
import { weightsKeyOf } from './weight-volumes.ts';
import { done, type Outcome } from './work-queue.ts';

const PROBES_MAX = 16;
/** Failures that say that the weights or the answers are not those of the pin. */
const mismatches: ReadonlySet<string> = new Set(['WeightsChanged', 'ProbeMismatch']);

export interface RevisionContext {
  readonly options: ControllerOptions;
  readonly steering: Steering;
  readonly staging: Staging;
  readonly hold: RevisionHold;
}

export async function reconcileRevision(name: string, context: RevisionContext, signal: AbortSignal): Promise<Outcome> {
  const { cluster, clock } = context.options;
  const revision = cluster.get(kinds.ModelRevision, name);
  if (revision === undefined) return done;
  const released = await context.hold.releaseOrphan(revision, signal);
  const world = context.steering.world();
  if (released.type !== 'done' || world === undefined) return released;
  const reports = listReports(world, name);
  const probes = addProbes(revision.status?.probes ?? [], reports);
  const staging = await context.staging.look(revision, findLost(world, name, context.options), signal);
  const verdicts = [judge(revision, reports), staging?.condition].filter((verdict) => verdict !== undefined);
  const conditions = verdicts.reduce(
    (all, verdict) => setCondition(all, verdict, clock.wallMs()),
    revision.status?.conditions ?? [],
  );
  const status: ModelRevisionStatus = {
    ...(probes.length === 0 ? {} : { probes }),
    ...(staging === undefined ? {} : { stagedIn: [...staging.stagedIn] }),
    ...(conditions.length === 0 ? {} : { conditions }),
  };
  const written = await writeStatus(cluster, { kind: kinds.ModelRevision, object: revision, status }, signal);
  if (written.type !== 'done') return written;
  for (const verdict of verdicts) announce(revision, verdict, context.options);
  return afterStaging(revision, staging);
}

/** A Pod that did its work goes once the status says so. */
function afterStaging(revision: ModelRevision, staging: StagingView | undefined): Outcome {
  if (staging === undefined) return done;
  const before = new Set(revision.status?.stagedIn);
  return staging.stagedIn.some((key) => !before.has(key)) ? { type: 'again', afterMs: 100 } : staging.outcome;
}

/** What a slot says when the files are gone from under it. */
const losses: ReadonlySet<string> = new Set(['WeightsMissing', 'WeightsChanged']);

/** Volumes in which a slot did not find the files, since they were staged there. */
function findLost(world: World, revision: string, options: ControllerOptions): string[] {
  return (world.slotsOf.get(revision) ?? []).flatMap((slot) => {
    const pool = world.pools.get(slot.pool);
    const isLost = slot.instances.some(
      (report) => report.revision === revision && report.rung === 'Failed' && losses.has(report.failure?.reason ?? ''),
    );
    const key = !isLost || pool === undefined ? undefined : weightsKeyOf(pool, options, slot.node);
    return key === undefined ? [] : [key];
  });
}

interface PlacedReport {
  readonly report: InstanceReport;
  readonly key: string | undefined;
}

function listReports(world: World, revision: string): PlacedReport[] {
  return (world.slotsOf.get(revision) ?? []).flatMap((slot) => {
    const pool = world.pools.get(slot.pool);
    return slot.instances
      .filter((report) => report.revision === revision)
      .map((report) => ({
        report,
        key: pool === undefined || report.engineBuild === undefined ? undefined : probeKey(pool, report.engineBuild),
      }));
  });
}

type Probes = NonNullable<ModelRevisionStatus['probes']>;

/** The first verified start of a class and build is the measure for all later ones. */
function addProbes(kept: Probes, reports: readonly PlacedReport[]): Probes {
  const probes = new Map(kept.map((probe) => [probe.key, probe]));
  for (const { report, key } of reports) {
    if (key === undefined || report.probeSample === undefined || !report.probed || probes.has(key)) continue;
    if (probes.size < PROBES_MAX) probes.set(key, { key, sample: report.probeSample });
  }
  return [...probes.values()];
}

type Verdict = Omit<Condition, 'lastTransitionTime'>;

/** Undefined while nothing has been seen of it. */
function judge(revision: ModelRevision, reports: readonly PlacedReport[]): Verdict | undefined {
  const observedGeneration = revision.metadata.generation ?? 0;
  const frame = { type: 'PinVerified', observedGeneration } as const;
  const wrong = reports.find(({ report }) => mismatches.has(report.failure?.reason ?? ''))?.report.failure;
  if (wrong !== undefined) return { ...frame, status: 'False', reason: wrong.reason, message: wrong.message };
  const verified = reports.filter(({ report }) => report.probed && report.engineBuild !== undefined);
  const other = verified.find(
    ({ report }) => report.engineBuild !== undefined && !isPinnedBuild(revision.spec.engine.build, report.engineBuild),
  )?.report.engineBuild;
  if (other !== undefined) {
    const message = `It was pinned with the engine ${revision.spec.engine.build} and runs on ${other}. Answers may differ; nothing was repinned.`;
    return { ...frame, status: 'False', reason: 'EngineChanged', message };
  }
  if (verified.length === 0) return undefined;
  return { ...frame, status: 'True', reason: 'Verified', message: 'What runs is what was pinned.' };
}

function announce(revision: ModelRevision, verdict: Verdict, { cluster }: ControllerOptions): void {
  const before = revision.status?.conditions?.find(({ type }) => type === verdict.type);
  if (before?.reason === verdict.reason) return;
  if (verdict.status === 'Unknown') return;
  const type = verdict.status === 'True' || verdict.reason === 'Staging' ? 'Normal' : 'Warning';
  cluster.recordEvent({ regarding: revision, type, reason: verdict.reason, message: verdict.message });
}
