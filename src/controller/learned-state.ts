// What was learned of each Model, over a restart: read once when the planner begins with the Model, and written to a ConfigMap of
// its own now and then. Lost or damaged means: begin with the guess. Must never write before it has read, and never delay a plan.
import { type ConfigMap, kinds } from '../api/kinds.ts';
import {
  LEARNED_BYTES_MAX,
  LEARNED_KEY,
  type LearnedMemory,
  learnedName,
  parseLearned,
  renderLearned,
} from '../api/learned-state.ts';
import type { Model } from '../api/model.ts';
import { LEARNED_EVERY_MS, LEARNED_FIRST_MS } from './bounds.ts';
import type { ControllerOptions } from './options.ts';
import { controllerOf, ownedBy } from './ownership.ts';
import { outcomeOfError, versionOf } from './status.ts';
import { done, type Outcome } from './work-queue.ts';

export interface LearnedStates {
  reconcile(model: string, signal: AbortSignal): Promise<Outcome>;
  /** Of Models that are gone nothing is kept in mind. */
  forgetExcept(models: ReadonlySet<string>): void;
}

export interface LearnedStatesOptions {
  readonly options: Pick<ControllerOptions, 'cluster' | 'clock' | 'log'>;
  /** What the planner has learned; undefined for a Model that it does not plan. */
  memoryOf(model: string): LearnedMemory | undefined;
  /** What was known before comes to the planner. */
  onMemory(model: string, memory: LearnedMemory): void;
}

interface Known {
  readonly uid: string;
  /** Of what is there, that which counts as news; undefined when nothing of use is there. */
  news: string | undefined;
  writtenMs: number;
}

export function createLearnedStates(context: LearnedStatesOptions): LearnedStates {
  const known = new Map<string, Known>();
  return {
    forgetExcept(models) {
      for (const model of known.keys()) if (!models.has(model)) known.delete(model);
    },
    async reconcile(name, signal) {
      const model = context.options.cluster.get(kinds.Model, name);
      if (model === undefined || model.metadata.deletionTimestamp !== undefined) return done;
      if (context.memoryOf(name) === undefined) return done;
      const one = known.get(name);
      if (one === undefined || one.uid !== model.metadata.uid) return load(context, { known, model }, signal);
      return save(context, { one, model }, signal);
    },
  };
}

async function load(
  { options, onMemory }: LearnedStatesOptions,
  { known, model }: { known: Map<string, Known>; model: Model },
  signal: AbortSignal,
): Promise<Outcome> {
  const { cluster, clock } = options;
  const { name, uid = '' } = model.metadata;
  const found = await cluster.read(kinds.ConfigMap, learnedName(name), signal);
  if (!found.ok && found.error.reason !== 'NotFound') return outcomeOfError(found.error);
  const text = found.ok && isOurs(found.value, model) ? found.value.data?.[LEARNED_KEY] : undefined;
  const memory = text === undefined ? undefined : parseLearned(text);
  if (memory?.ok === true) onMemory(name, memory.value);
  if (memory?.ok === false) tellUnusable(options, model, memory.error);
  const news = memory?.ok === true ? newsIn(memory.value) : undefined;
  // Where nothing was kept yet there is most to lose.
  const afterMs = text === undefined ? LEARNED_FIRST_MS : LEARNED_EVERY_MS;
  known.set(name, { uid, news, writtenMs: clock.nowMs() + afterMs - LEARNED_EVERY_MS });
  return { type: 'again', afterMs };
}

/** That an hour goes by in which nobody asks is none. */
function newsIn({ weeks, ...memory }: LearnedMemory): string {
  return JSON.stringify({ ...memory, past: weeks.past, workMs: weeks.workMs });
}

async function save(
  { options, memoryOf }: LearnedStatesOptions,
  { one, model }: { one: Known; model: Model },
  signal: AbortSignal,
): Promise<Outcome> {
  const { cluster, clock, log } = options;
  const { name } = model.metadata;
  const leftMs = one.writtenMs + LEARNED_EVERY_MS - clock.nowMs();
  if (leftMs > 0) return { type: 'again', afterMs: leftMs };
  const memory = memoryOf(name);
  const news = memory === undefined ? undefined : newsIn(memory);
  if (memory === undefined || news === one.news) return { type: 'again', afterMs: LEARNED_EVERY_MS };
  const text = renderLearned(memory);
  if (Buffer.byteLength(text) > LEARNED_BYTES_MAX) {
    log.error({ model: name, bytesMax: LEARNED_BYTES_MAX }, 'what was learned of a model is too large to be kept');
    return { type: 'again', afterMs: LEARNED_EVERY_MS };
  }
  const written = await write(cluster, { model, text }, signal);
  if (written.type !== 'done') return written;
  Object.assign(one, { news, writtenMs: clock.nowMs() });
  return { type: 'again', afterMs: LEARNED_EVERY_MS };
}

async function write(
  cluster: ControllerOptions['cluster'],
  { model, text }: { model: Model; text: string },
  signal: AbortSignal,
): Promise<Outcome> {
  const { apiVersion, kind } = kinds.ConfigMap;
  const name = learnedName(model.metadata.name);
  const data = { [LEARNED_KEY]: text };
  const found = await cluster.read(kinds.ConfigMap, name, signal);
  if (!found.ok && found.error.reason !== 'NotFound') return outcomeOfError(found.error);
  // Somebody else's ConfigMap is left alone, and looked at again with the next time.
  if (found.ok && !isOurs(found.value, model)) return { type: 'again', afterMs: LEARNED_EVERY_MS };
  const metadata = { name, ownerReferences: [ownedBy(kinds.Model, model)] };
  const written = found.ok
    ? await cluster.patch(kinds.ConfigMap, name, { data }, { ...versionOf(found.value), signal })
    : await cluster.create(kinds.ConfigMap, { apiVersion, kind, metadata, data }, signal);
  if (written.ok) return done;
  // Deleted between the two: nothing was written.
  return written.error.reason === 'NotFound' ? { type: 'conflict' } : outcomeOfError(written.error);
}

function isOurs(configMap: ConfigMap, model: Model): boolean {
  return controllerOf(configMap)?.uid === model.metadata.uid;
}

function tellUnusable({ cluster, log }: LearnedStatesOptions['options'], model: Model, error: string): void {
  const name = learnedName(model.metadata.name);
  const message = `What was learned of this model, in ConfigMap ${name}, cannot be used: ${error}. It is learned again, and written over.`;
  log.warn({ model: model.metadata.name, error }, 'what was learned of a model cannot be used');
  cluster.recordEvent({ regarding: model, type: 'Warning', reason: 'LearnedStateUnusable', message });
}
