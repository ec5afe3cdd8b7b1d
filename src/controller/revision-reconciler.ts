// Reconciles one ModelRevision: keeps the probe of the first verified start of each class and build, and says whether what
// runs is what was pinned. Never changes a spec, which nobody may, and never replaces a probe that is kept.
import { type Condition, setCondition } from '../api/group.ts';
import { kinds } from '../api/kinds.ts';
import type { InstanceReport } from '../api/link.ts';
import type { ModelRevision, ModelRevisionStatus } from '../api/model-revision.ts';
import { probeKey } from './launch.ts';
import type { World } from './observe.ts';
import type { ControllerOptions } from './options.ts';
import { writeStatus } from './status.ts';
import type { Steering } from './steering.ts';
import { done, type Outcome } from './work-queue.ts';

const PROBES_MAX = 16;
/** Failures that say that the weights or the answers are not those of the pin. */
const mismatches: ReadonlySet<string> = new Set(['WeightsChanged', 'ProbeMismatch']);

export interface RevisionContext {
  readonly options: ControllerOptions;
  readonly steering: Steering;
}

export async function reconcileRevision(name: string, context: RevisionContext, signal: AbortSignal): Promise<Outcome> {
  const { cluster, clock } = context.options;
  const revision = cluster.get(kinds.ModelRevision, name);
  const world = context.steering.world();
  if (revision === undefined || world === undefined) return done;
  const reports = listReports(world, name);
  const probes = addProbes(revision.status?.probes ?? [], reports);
  const verdict = judge(revision, reports);
  const conditions =
    verdict === undefined
      ? revision.status?.conditions
      : setCondition(revision.status?.conditions ?? [], verdict, clock.wallMs());
  const status: ModelRevisionStatus = {
    ...(probes.length === 0 ? {} : { probes }),
    ...(conditions === undefined ? {} : { conditions }),
  };
  const written = await writeStatus(cluster, { kind: kinds.ModelRevision, object: revision, status }, signal);
  if (written.type === 'done' && verdict !== undefined) announce(revision, verdict, context.options);
  return written;
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
  const other = verified.find(({ report }) => report.engineBuild !== revision.spec.engine.build)?.report.engineBuild;
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
  const type = verdict.status === 'True' ? 'Normal' : 'Warning';
  cluster.recordEvent({ regarding: revision, type, reason: verdict.reason, message: verdict.message });
}
