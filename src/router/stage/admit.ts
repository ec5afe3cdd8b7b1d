// May the request wait? At its arrival, and again after each change of the table while it waits: it is queued, held for a
// cold model, or told the truth at once. Whoever is sent away because of coldness leaves a claim and keeps his place.
import type { PolicyModel } from '../../api/link.ts';
import { type Admission, decideAdmission, estimateEtaMs, retryAfterMs } from '../../core/route/admission.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Call } from '../call.ts';
import { Ending } from '../ending.ts';
import type { TableKeeper } from '../link/table-keeper.ts';
import type { ModelQueue } from '../queue/model-queue.ts';
import type { CallClass } from './classify.ts';

/** Beyond the estimate: how long a claim on an awake instance stands (DESIGN §8). */
const CLAIM_MS = 60_000;

export interface AdmitOptions {
  readonly clock: Clock;
  readonly table: TableKeeper;
  readonly silentHoldMsMax: number;
}

export interface Warmth {
  readonly etaMs: number;
  readonly hasEndpoint: boolean;
}

export function readWarmth(model: string, queue: ModelQueue, table: TableKeeper): Warmth {
  const current = table.current();
  const figures = {
    warmth: current.warmth.get(model),
    warmthAgeMs: table.warmthAgeMs(model),
    oldestWaitMs: queue.oldestWaitMs(),
  };
  const hasEndpoint = (current.endpointsOf.get(model)?.length ?? 0) > 0;
  return { hasEndpoint, etaMs: hasEndpoint ? 0 : estimateEtaMs(figures) };
}

export interface Candidate {
  readonly call: Call;
  readonly model: PolicyModel;
  readonly queue: ModelQueue;
  readonly callClass: CallClass;
}

export function judgeAdmission(candidate: Candidate, options: AdmitOptions): Admission {
  const { call, model, queue, callClass } = candidate;
  const { deadline, progress } = callClass;
  const boundMs = progress ? deadline.firstContentMs : Math.min(deadline.headMs, deadline.firstContentMs);
  return decideAdmission({
    ...readWarmth(model.model, queue, options.table),
    warmth: options.table.current().warmth.get(model.model),
    silent: !progress,
    silentHoldMsMax: silentHoldLeftMs(call, options),
    remainingMs: call.acceptedMs + boundMs - options.clock.nowMs(),
  });
}

/** Of the one time that a caller waits in silence, counted from its arrival, however often its request waits. */
export function silentHoldLeftMs(call: Call, { clock, silentHoldMsMax }: AdmitOptions): number {
  return Math.max(0, call.acceptedMs + silentHoldMsMax - clock.nowMs());
}

/** The ending of a request that may not wait; undefined when it may. */
export function admit(candidate: Candidate, options: AdmitOptions): Ending | undefined {
  const admission = judgeAdmission(candidate, options);
  const { servedName } = candidate.model;
  if (admission.kind === 'Failed') {
    // Somebody wants it: the controller keeps trying.
    candidate.queue.claimWake(CLAIM_MS);
    return new Ending('model_failed', `The model ${servedName} cannot be served: ${admission.message}`);
  }
  return admission.kind === 'Warming' ? warming(candidate, admission.etaMs) : undefined;
}

/** Sends the caller away until the model is awake, and sees to it that it wakes. */
export function warming({ queue, model }: Candidate, etaMs: number): Ending {
  queue.claimWake(etaMs + CLAIM_MS);
  const waitMs = retryAfterMs(etaMs);
  return new Ending('model_warming', `The model ${model.servedName} is being woken. Try again when it is awake.`, {
    headers: {
      'retry-after': String(Math.ceil(waitMs / 1000)),
      'retry-after-ms': String(waitMs),
      'x-stoker-eta-ms': String(Math.round(etaMs)),
    },
  });
}
