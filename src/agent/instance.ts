// The record of one instance in this slot, and what is reported of it. Only src/agent/slot.ts changes a record.
import type { Climb, InstanceReport, Launch, Rung } from '../api/link.ts';
import type { ProbeSample } from '../api/model-revision.ts';
import { renderInstanceId } from '../lib/ids.ts';
import type { EngineExit, EngineProcess } from '../ports/engine.ts';
import type { Failure } from './climb.ts';
import type { InFlight } from './in-flight.ts';
import type { SleepRecord } from './sleep-budget.ts';
import type { InstanceView, Wanted } from './slot-plan.ts';

/** An engine that is running, and what became of it. */
export interface RunningEngine {
  readonly process: EngineProcess;
  /** The launch that it was started with: a later target may carry another concurrency. */
  readonly launch: Launch;
  exit: EngineExit | undefined;
  /** Checks in a row that failed, and what the last one said. */
  misses: number;
  lastMiss: string;
  sleeps: SleepRecord;
}

export interface Instance {
  readonly model: string;
  readonly revision: string;
  readonly inFlight: InFlight;
  launch: Launch;
  wanted: Wanted;
  incarnation: number;
  rung: Rung;
  rungSinceMs: number;
  probed: boolean;
  engine: RunningEngine | undefined;
  /** When a request last began or ended since the last climb. */
  activeAtMs: number | undefined;
  drainEndsAtMs: number;
  failure: Failure | undefined;
  /** In a row, without a steady time between. */
  failures: number;
  retryAtMs: number;
  climb: Climb | undefined;
  build: string | undefined;
  /** What this incarnation answered to the probe. */
  sample: ProbeSample | undefined;
  residentBytes: number | undefined;
}

export function createInstance(
  named: { model: string; revision: string; launch: Launch; incarnation: number },
  inFlight: InFlight,
  nowMs: number,
): Instance {
  return {
    ...named,
    inFlight,
    wanted: 'Staged',
    rung: 'Staged',
    rungSinceMs: nowMs,
    probed: false,
    engine: undefined,
    activeAtMs: undefined,
    drainEndsAtMs: 0,
    failure: undefined,
    failures: 0,
    retryAtMs: 0,
    climb: undefined,
    build: undefined,
    sample: undefined,
    residentBytes: undefined,
  };
}

export function viewInstance(instance: Instance, nowMs: number): InstanceView {
  return {
    revision: instance.revision,
    rung: instance.rung,
    wanted: instance.wanted,
    inFlight: instance.inFlight.count(),
    drainLeftMs: Math.max(0, instance.drainEndsAtMs - nowMs),
    retryInMs: Math.max(0, instance.retryAtMs - nowMs),
  };
}

/** Before the first start an instance is named by the incarnation that it will have. */
export function instanceIdOf(podUid: string, instance: Instance): string {
  return renderInstanceId({ podUid, revision: instance.revision, incarnation: Math.max(1, instance.incarnation) });
}

export function renderReport(podUid: string, instance: Instance, nowMs: number): InstanceReport {
  const inFlight = instance.inFlight.count();
  return {
    id: instanceIdOf(podUid, instance),
    model: instance.model,
    revision: instance.revision,
    rung: instance.rung,
    probed: instance.probed,
    inFlight,
    rungAgeMs: nowMs - instance.rungSinceMs,
    ...(instance.activeAtMs === undefined ? {} : { idleMs: inFlight > 0 ? 0 : nowMs - instance.activeAtMs }),
    ...renderFailure(instance, nowMs),
    ...(instance.climb === undefined ? {} : { climb: instance.climb }),
    ...(instance.build === undefined ? {} : { engineBuild: instance.build }),
    ...(instance.sample === undefined || instance.launch.probeExpected ? {} : { probeSample: instance.sample }),
    ...(instance.residentBytes === undefined ? {} : { residentBytes: instance.residentBytes }),
  };
}

function renderFailure({ failure, retryAtMs }: Instance, nowMs: number): Pick<InstanceReport, 'failure'> {
  return failure === undefined ? {} : { failure: { ...failure, retryInMs: Math.max(0, retryAtMs - nowMs) } };
}
