// Brings one engine up: from nothing, or from sleep. Each step has a deadline. Ends in a probed engine, or in a failure with
// nothing left running: an engine whose state is in doubt is always ended, never tried again as it is.
import type { Climb, Launch } from '../api/link.ts';
import type { ProbeSample } from '../api/model-revision.ts';
import { describeExit, EngineError } from '../engine/engine-error.ts';
import { type Clock, deadlineSignal } from '../lib/clock.ts';
import type { EngineAdapter, EngineProcess } from '../ports/engine.ts';
import type { AgentLimits } from './limits.ts';
import { compareProbe, isWholeSample } from './probe-check.ts';

export interface Failure {
  /** One CamelCase word. */
  readonly reason: string;
  readonly message: string;
}

export interface Climbed {
  readonly process: EngineProcess;
  readonly climb: Climb;
  readonly build: string;
  readonly sample: ProbeSample;
}

export type ClimbResult =
  | { readonly type: 'up'; readonly climbed: Climbed }
  | { readonly type: 'failed'; readonly failure: Failure }
  | { readonly type: 'gaveUp' };

export interface ClimbContext {
  readonly launch: Launch;
  /** What the probe must answer; undefined at the first verified start. */
  readonly expected: ProbeSample | undefined;
  readonly limits: AgentLimits;
  readonly clock: Clock;
  /** Aborts when nobody wants the climb any more. */
  readonly giveUp: AbortSignal;
}

/** Never rejects. */
export async function startEngine(
  adapter: EngineAdapter,
  instance: string,
  context: ClimbContext,
): Promise<ClimbResult> {
  const { clock, limits, launch } = context;
  const beganMs = clock.nowMs();
  let process: EngineProcess | undefined;
  try {
    const { spawned, spawnedMs } = await within(context, 'start', limits.startMsMax, async (signal) => {
      const spawned = await adapter.start(instance, launch, signal);
      // The wait for it may be over by now: then nobody else will end it.
      if (signal.aborted) await spawned.stop(limits.stopGraceMs);
      signal.throwIfAborted();
      process = spawned;
      const spawnedMs = clock.nowMs() - beganMs;
      await spawned.whenLoaded(signal);
      return { spawned, spawnedMs };
    });
    const loadedMs = clock.nowMs() - beganMs - spawnedMs;
    const checked = await probe(spawned, context);
    const totalMs = clock.nowMs() - beganMs;
    const warmedMs = spawned.warmedMs?.();
    const climb: Climb = {
      from: 'Staged',
      spawnedMs,
      loadedMs,
      ...(warmedMs === undefined ? {} : { warmedMs }),
      probedMs: totalMs - spawnedMs - loadedMs,
      totalMs,
    };
    return { type: 'up', climbed: { process: spawned, climb, ...checked } };
  } catch (error) {
    return endFailed(process, error, context);
  }
}

/** Never rejects. */
export async function wakeEngine(process: EngineProcess, context: ClimbContext): Promise<ClimbResult> {
  const { clock, limits } = context;
  const beganMs = clock.nowMs();
  try {
    await within(context, 'wake', limits.wakeMsMax, (signal) => process.wake(signal));
    const loadedMs = clock.nowMs() - beganMs;
    const checked = await probe(process, context);
    const totalMs = clock.nowMs() - beganMs;
    const climb: Climb = { from: 'Asleep', loadedMs, probedMs: totalMs - loadedMs, totalMs };
    return { type: 'up', climbed: { process, climb, ...checked } };
  } catch (error) {
    return endFailed(process, error, context);
  }
}

async function probe(process: EngineProcess, context: ClimbContext): Promise<{ build: string; sample: ProbeSample }> {
  const { limits, expected } = context;
  const [sample, identity] = await within(context, 'probe', limits.probeMsMax, async (signal) => [
    await process.probe(signal),
    await process.identity(signal),
  ]);
  const difference = expected === undefined ? undefined : compareProbe(expected, sample, limits.probeToleranceNats);
  if (difference !== undefined) throw new ProbeMismatch(difference);
  if (!isWholeSample(sample)) throw new ProbeMismatch('The probe gave no tokens with log-probabilities.');
  return { build: identity.build, sample };
}

class ProbeMismatch extends Error {
  override readonly name = 'ProbeMismatch';
}

class StepTimeout extends Error {
  override readonly name = 'StepTimeout';
}

/** Runs one step until its deadline. A step that does not heed its signal is left behind: the engine is ended anyway. */
async function within<T>(
  context: ClimbContext,
  step: string,
  msMax: number,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const reason = new StepTimeout(`The ${step} took longer than ${msMax} ms.`);
  const deadline = deadlineSignal(context.clock, msMax, { reason, parent: context.giveUp });
  try {
    return await raceAbort(run(deadline.signal), deadline.signal);
  } finally {
    deadline.cancel();
  }
}

/** Settles with the promise, or rejects as soon as the signal aborts. */
export function raceAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** An engine that died is told apart from one that does not answer: its exit follows the broken connection closely. */
const EXIT_FOLLOWS_MS_MAX = 500;

async function endFailed(
  process: EngineProcess | undefined,
  error: unknown,
  { giveUp, limits, clock }: ClimbContext,
): Promise<ClimbResult> {
  if (giveUp.aborted) {
    await process?.stop(limits.stopGraceMs);
    return { type: 'gaveUp' };
  }
  return { type: 'failed', failure: await endBroken(process, error, { limits, clock }) };
}

/** Ends an engine that failed at `error`, and says why: how it died, when it did so by itself. Never rejects. */
export async function endBroken(
  process: EngineProcess | undefined,
  error: unknown,
  { limits, clock }: { limits: AgentLimits; clock: Clock },
): Promise<Failure> {
  if (process === undefined) return describeFailure(error);
  const deadline = deadlineSignal(clock, EXIT_FOLLOWS_MS_MAX, { reason: new Error('it runs on') });
  const isDoubtful = error instanceof EngineError && error.reason === 'EngineUnreachable';
  const exit = isDoubtful ? await raceAbort(process.exited, deadline.signal).catch(() => undefined) : undefined;
  deadline.cancel();
  await process.stop(limits.stopGraceMs);
  return exit === undefined ? describeFailure(error) : { reason: 'EngineExited', message: describeExit(exit) };
}

/** A reason and a sentence, bounded to what a report may carry. */
function describeFailure(error: unknown): Failure {
  const message = (error instanceof Error ? error.message : String(error)).slice(0, 1000);
  if (error instanceof EngineError) return { reason: error.reason, message };
  if (error instanceof ProbeMismatch || error instanceof StepTimeout) return { reason: error.name, message };
  return { reason: 'EngineFailed', message };
}
