// The four transitions of an instance: start, wake, sleep, stop. Each changes the record, runs to its end and never rejects.
// Must only be run one at a time (src/agent/slot.ts sees to that), and leaves no engine running whose state is in doubt.
import type { Climb, Launch, Rung } from '../api/link.ts';
import { describeExit } from '../engine/engine-error.ts';
import { backoffDelayMs } from '../lib/backoff.ts';
import { type Clock, deadlineSignal } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Rng } from '../lib/rng.ts';
import type { EngineAdapter, EngineExit, EngineProcess } from '../ports/engine.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import {
  type ClimbContext,
  type Climbed,
  type ClimbResult,
  endBroken,
  type Failure,
  raceAbort,
  startEngine,
  wakeEngine,
} from './climb.ts';
import { hideLoad } from './engine-load.ts';
import { RequestCut } from './in-flight.ts';
import type { Incarnations } from './incarnations.ts';
import { type Instance, instanceIdOf, type RunningEngine } from './instance.ts';
import type { AgentLimits } from './limits.ts';
import { judgeSleep, noSleeps, type SleepVerdict } from './sleep-budget.ts';

/** How long requests that were cut get to leave before the engine is told to sleep. */
const CUT_MS_MAX = 2000;

/** What a report may carry of a failure's sentence. */
const MESSAGE_CHARS_MAX = 1000;

export interface SlotContext {
  readonly podUid: string;
  readonly adapters: Readonly<Record<Launch['engine'], EngineAdapter>>;
  readonly incarnations: Incarnations;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly limits: AgentLimits;
  /** Something that is reported has changed. */
  onChange(): void;
  /** An engine of this slot ended, whoever ended it. */
  onExit(instance: Instance, engine: RunningEngine): void;
}

export async function start(instance: Instance, giveUp: AbortSignal, slot: SlotContext): Promise<void> {
  if (instance.failures > 0) slot.metrics.count('engineRestarts', { model: instance.model });
  const { launch } = instance;
  instance.incarnation = slot.incarnations.take(instance.revision);
  // A new process knows nothing of what the last one answered.
  Object.assign(instance, { sample: undefined, build: undefined, climb: undefined } satisfies Partial<Instance>);
  moveTo(instance, 'Starting', slot);
  await slot.incarnations.keep();
  const id = instanceIdOf(slot.podUid, instance);
  const result = await startEngine(slot.adapters[launch.engine], id, climbContext(instance, giveUp, slot));
  settleClimb(instance, result, slot, (climbed) => watch(instance, climbed.process, launch, slot));
}

export async function wake(instance: Instance, giveUp: AbortSignal, slot: SlotContext): Promise<void> {
  const { engine } = instance;
  if (engine === undefined) return;
  moveTo(instance, 'Waking', slot);
  const result = await wakeEngine(engine.process, climbContext(instance, giveUp, slot));
  settleClimb(instance, result, slot, () => engine);
}

function climbContext(instance: Instance, giveUp: AbortSignal, { clock, limits }: SlotContext): ClimbContext {
  const expected = instance.launch.probeExpected ?? instance.sample;
  return { launch: instance.launch, expected, limits, clock, giveUp };
}

function settleClimb(
  instance: Instance,
  result: ClimbResult,
  slot: SlotContext,
  engineOf: (climbed: Climbed) => RunningEngine,
): void {
  if (result.type === 'failed') {
    fail(instance, result.failure, slot);
    return;
  }
  if (result.type === 'gaveUp') {
    letGo(instance, 'Staged', slot);
    return;
  }
  const { climb, sample, build } = result.climbed;
  const engine = engineOf(result.climbed);
  const up = { engine, climb, sample, build, activeAtMs: undefined, failure: undefined, probed: true };
  Object.assign(instance, up satisfies Partial<Instance>);
  moveTo(instance, 'Awake', slot);
  slot.metrics.observe('climbSeconds', { from: climb.from }, climb.totalMs / 1000);
  slot.log.info({ ...nameOf(instance), ...flatten(climb), build }, 'the instance is awake');
}

function flatten({ from, totalMs, spawnedMs, loadedMs, warmedMs, probedMs }: Climb) {
  return { from, totalMs, spawnedMs, loadedMs, warmedMs, probedMs };
}

function watch(instance: Instance, process: EngineProcess, launch: Launch, slot: SlotContext): RunningEngine {
  const engine: RunningEngine = { process, launch, exit: undefined, misses: 0, lastMiss: '', sleeps: noSleeps };
  void process.exited.then((exit) => {
    engine.exit = exit;
    slot.onExit(instance, engine);
  });
  return engine;
}

/** Level 1 keeps the weights in memory, level 2 drops them. Requests that are still in flight are cut. */
export async function sleep(instance: Instance, slot: SlotContext): Promise<void> {
  const { engine, launch } = instance;
  if (engine === undefined) return;
  moveTo(instance, 'Sleeping', slot);
  const { limits, clock } = slot;
  const reason = new Error(`The sleep took longer than ${limits.sleepMsMax} ms.`);
  const deadline = deadlineSignal(clock, limits.sleepMsMax, { reason });
  try {
    await cutFlights(instance, 'The model was put to sleep before the answer was complete.', slot);
    await raceAbort(engine.process.sleep(launch.sleep === 'Level1' ? 1 : 2, deadline.signal), deadline.signal);
    instance.probed = false;
    const verdict = await noteSleep(engine, slot);
    if (verdict.type === 'keep') moveTo(instance, 'Asleep', slot);
    else await renew(instance, verdict, slot);
  } catch (error) {
    fail(instance, await endBroken(engine.process, error, slot), slot);
  } finally {
    deadline.cancel();
  }
}

async function noteSleep(engine: RunningEngine, { limits }: SlotContext): Promise<SleepVerdict> {
  // An engine that cannot say what it holds is judged by how often it slept.
  const held = await engine.process.memory().catch(() => undefined);
  const { record, verdict } = judgeSleep(engine.sleeps, held?.acceleratorBytes, limits);
  engine.sleeps = record;
  return verdict;
}

/** The next one who needs it starts it from its weights, and it is healthy again. */
async function renew(instance: Instance, verdict: Exclude<SleepVerdict, { type: 'keep' }>, slot: SlotContext) {
  await instance.engine?.process.stop(slot.limits.stopGraceMs);
  if (verdict.type === 'leak') {
    fail(instance, { reason: 'EngineLeaked', message: verdict.sentence }, slot);
    return;
  }
  slot.log.info({ ...nameOf(instance), sentence: verdict.sentence }, 'the engine is renewed');
  letGo(instance, 'Staged', slot);
}

/** A sleeper keeps its rung until it is gone: it is not resident, and its end holds up nobody. */
export async function stop(instance: Instance, slot: SlotContext): Promise<void> {
  const { engine } = instance;
  if (engine === undefined) return;
  if (instance.rung !== 'Asleep') moveTo(instance, 'Stopping', slot);
  await cutFlights(instance, 'The model was stopped before the answer was complete.', slot);
  await engine.process.stop(slot.limits.stopGraceMs);
  letGo(instance, 'Staged', slot);
}

/** Ends an engine that runs but fails its checks. Nobody is admitted from now on. */
export async function endUnresponsive(instance: Instance, slot: SlotContext): Promise<void> {
  const { engine } = instance;
  if (engine === undefined) return;
  if (instance.rung !== 'Asleep') moveTo(instance, 'Stopping', slot);
  const message = `The engine failed its check ${engine.misses} times in a row and was ended: ${engine.lastMiss}`;
  await engine.process.stop(slot.limits.stopGraceMs);
  fail(instance, { reason: 'EngineUnresponsive', message: message.slice(0, MESSAGE_CHARS_MAX) }, slot);
}

async function cutFlights(instance: Instance, sentence: string, { clock }: SlotContext): Promise<void> {
  if (instance.inFlight.count() === 0) return;
  instance.inFlight.cutAll(new RequestCut('draining', sentence));
  const deadline = deadlineSignal(clock, CUT_MS_MAX, { reason: new Error('requests are still leaving') });
  await raceAbort(instance.inFlight.whenEmpty(), deadline.signal).catch(() => {});
  deadline.cancel();
}

export function moveTo(instance: Instance, rung: Rung, slot: SlotContext): void {
  if ((rung === 'Draining' || rung === 'Stopping') && wasSteady(instance, slot)) instance.failures = 0;
  const wasUp = instance.rung === 'Awake' || instance.rung === 'Draining';
  if (wasUp && rung !== 'Awake' && rung !== 'Draining') hideLoad(instance.model, slot.metrics);
  instance.rung = rung;
  instance.rungSinceMs = slot.clock.nowMs();
  if (rung !== 'Awake' && rung !== 'Draining') instance.probed = false;
  slot.onChange();
}

function letGo(instance: Instance, rung: 'Staged' | 'Failed', slot: SlotContext): void {
  instance.engine = undefined;
  instance.residentBytes = undefined;
  moveTo(instance, rung, slot);
}

/** The engine is gone. It may be started again after a back-off with full jitter. */
export function fail(instance: Instance, failure: Failure, slot: SlotContext): void {
  const { limits, rng, clock } = slot;
  const nowMs = clock.nowMs();
  const attempt = wasSteady(instance, slot) ? 0 : instance.failures;
  instance.failures = attempt + 1;
  instance.failure = failure;
  instance.retryAtMs = nowMs + backoffDelayMs({ baseMs: limits.retryMsBase, capMs: limits.retryMsMax, attempt, rng });
  letGo(instance, 'Failed', slot);
  slot.log.warn({ ...nameOf(instance), ...failure, retryInMs: instance.retryAtMs - nowMs }, 'the instance failed');
}

function wasSteady({ rung, rungSinceMs }: Instance, { clock, limits }: SlotContext): boolean {
  return rung === 'Awake' && clock.nowMs() - rungSinceMs >= limits.steadyMs;
}

export function failExited(instance: Instance, exit: EngineExit, slot: SlotContext): void {
  fail(instance, { reason: 'EngineExited', message: describeExit(exit) }, slot);
}

function nameOf({ model, revision, incarnation }: Instance) {
  return { model, revision, incarnation };
}
