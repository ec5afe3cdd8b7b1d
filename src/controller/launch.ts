// What an engine needs to run a revision in a slot: pinned facts from the ModelRevision, serving settings from the Model.
// Pure. Where the file lies may have moved since the pin; its digest has not.
import { argumentValue, isThirdParty, loadsFolder, type ThirdPartyEngine } from '../api/engine-arguments.ts';
import { imageDigestOf } from '../api/engine-image.ts';
import { autoSleepOf, survivesSleep } from '../api/engine-sleep.ts';
import type { Launch, OwnEngine, SlotEngine } from '../api/link.ts';
import type { Model } from '../api/model.ts';
import type { ModelRevision } from '../api/model-revision.ts';
import type { Pool } from '../api/pool.ts';
import { planKvBytes, planStaticPermille } from '../core/plan/kv-room.ts';
import { mainFileOf } from './pin-download.ts';

/** On a ModelRevision: where the same file was found later. */
export const PATH_ANNOTATION = 'stoker.dev/weights-path';
/** On a ModelRevision that somebody else serves: the Secret and the entry of its API key. */
export const API_KEY_ANNOTATION = 'stoker.dev/api-key';

export interface LaunchFacts {
  readonly revision: ModelRevision;
  readonly model: Model;
  readonly pool: Pool;
  /** The build that the slot's engine has, as far as is known. */
  readonly engineBuild: string;
  /** Where downloaded sets lie, as the slot sees it. */
  readonly weightsFolder: string;
}

/** Undefined when the revision says nothing that an engine could be started with: somebody else serves it. */
export function renderLaunch(facts: LaunchFacts): Launch | undefined {
  const { weights, contextLength, engine } = facts.revision.spec;
  if (weights === undefined || contextLength === undefined || engine.name === 'Remote') return undefined;
  const frame = renderFrame(facts, contextLength);
  if (weights.simulated !== undefined) {
    const { simulation } = facts.model.spec;
    return {
      engine: 'Sim',
      ...frame,
      simulated: weights.simulated,
      ...(simulation === undefined ? {} : { simulation }),
    };
  }
  const pinned = locateWeights(facts.revision, facts.weightsFolder);
  if (pinned === undefined) return undefined;
  if (!isThirdParty(engine.name)) return { engine: 'Llama', ...frame, ...pinned };
  const args = useWholeSet(engine.name, engine.args ?? [], facts.pool);
  return {
    engine: engine.name,
    ...frame,
    ...pinned,
    ...renderRoom(facts, { engine: engine.name, args, weightsBytes: pinned.weightsSizeBytes }),
    args,
    ...(engine.image === undefined ? {} : { imageDigest: imageDigestOf(engine.image) }),
    ...(weights.architecture === undefined ? {} : { architecture: weights.architecture }),
  };
}

/** What decides it as well, and goes first when a version says it. */
const ROOM_ARGUMENTS = /^--(gpu-memory-utilization|mem-fraction-static)=/;

const TENSOR_PARALLEL = 'tensor-parallel-size';

/**
 * An engine takes one accelerator when nothing is said, and the slot holds all of its set. What a version says goes first.
 * `llama-server` spreads over what it sees by itself.
 */
function useWholeSet(engine: ThirdPartyEngine, args: readonly string[], { spec: { accelerator } }: Pool): string[] {
  const isSaid = argumentValue(args, TENSOR_PARALLEL) !== undefined;
  if (engine === 'LlamaServer' || accelerator.resourceName.endsWith('/cpu') || isSaid) return [...args];
  const width = accelerator.countPerSlot / Number(argumentValue(args, 'pipeline-parallel-size') ?? 1);
  return Number.isInteger(width) && width > 1 ? [`--${TENSOR_PARALLEL}=${width}`, ...args] : [...args];
}

/** Only where the Pool says what there is. `llama-server` takes what context and places need, and nothing else. */
function renderRoom(
  { pool }: LaunchFacts,
  {
    engine,
    args,
    weightsBytes,
  }: { readonly engine: ThirdPartyEngine; readonly args: readonly string[]; readonly weightsBytes: number },
) {
  const { memoryBytes } = pool.spec.accelerator;
  if (memoryBytes === undefined || args.some((argument) => ROOM_ARGUMENTS.test(argument))) return {};
  const facts = { acceleratorBytes: memoryBytes, weightsBytes, args, sleepersMax: pool.spec.sleepersPerSlotMax };
  if (engine === 'LlamaServer') return {};
  const [name, value] =
    engine === 'Vllm'
      ? (['kvCacheBytes', planKvBytes(facts)] as const)
      : (['staticPermille', planStaticPermille(facts)] as const);
  return value === undefined ? {} : { [name]: value };
}

/** What the engine opens: a file, or the folder that it lies in. */
function locateWeights({ spec: { weights, engine }, metadata }: ModelRevision, weightsFolder: string) {
  if (weights === undefined) return undefined;
  const { sizeBytes, sha256, fileSet } = weights;
  const whole = { weightsSizeBytes: sizeBytes, weightsSha256: sha256 };
  if (fileSet === undefined) {
    const path = metadata.annotations?.[PATH_ANNOTATION] ?? weights.path;
    return path === undefined ? undefined : { ...whole, weightsPath: path };
  }
  const folder = `${weightsFolder}/${sha256}`;
  if (loadsFolder(engine.name)) return { ...whole, weightsPath: folder };
  const file = mainFileOf(fileSet.files);
  if (file === undefined) return undefined;
  return { weightsPath: `${folder}/${file.path}`, weightsSizeBytes: file.sizeBytes, weightsSha256: file.sha256 };
}

function renderFrame({ revision, model, pool, engineBuild }: LaunchFacts, contextLength: number) {
  const { spec, metadata, status } = revision;
  const { serving, servedName } = model.spec;
  const key = probeKey(pool, engineBuild);
  const probe = status?.probes?.find((one) => one.key === key);
  return {
    servedName,
    revision: metadata.name,
    contextLength,
    concurrency: serving.concurrency,
    ...(spec.sampling === undefined ? {} : { sampling: spec.sampling }),
    sleep: sleepOf(revision, model),
    drainMs: Math.min(serving.drainSeconds, pool.spec.maxDrainSeconds) * 1000,
    ...(probe === undefined ? {} : { probeExpected: probe.sample }),
  };
}

const autoSleep = {
  // It survives level 2, which gives back the most memory.
  Llama: 'Level2',
  // Imitates what large models are kept asleep for: a wake from host memory.
  Sim: 'Level1',
} as const satisfies Record<OwnEngine, Launch['sleep']>;

function sleepOf(revision: ModelRevision, { spec: { serving } }: Model): Launch['sleep'] {
  const engine = slotEngineOf(revision);
  if (serving.sleep !== 'Auto' || engine === undefined) return serving.sleep === 'Auto' ? 'Never' : serving.sleep;
  return isThirdParty(engine) ? autoSleepOf(sleepFactsOf(revision, engine)) : autoSleep[engine];
}

/** Whether its instances are put to sleep when they are idle; others are stopped. */
export function maySleep(revision: ModelRevision, model: Model): boolean {
  const sleep = sleepOf(revision, model);
  const engine = slotEngineOf(revision);
  if (engine === undefined || !isThirdParty(engine)) return sleep !== 'Never';
  return survivesSleep({ ...sleepFactsOf(revision, engine), sleep });
}

function sleepFactsOf({ spec }: ModelRevision, engine: ThirdPartyEngine) {
  return { engine, args: spec.engine.args ?? [], architecture: spec.weights?.architecture };
}

/** The engine of a revision as a process of a slot; undefined when it needs none. */
export function slotEngineOf({ spec }: ModelRevision): SlotEngine | undefined {
  return spec.engine.name === 'Remote' ? undefined : spec.engine.name;
}

/** What one class, set size and build answered is not expected of another: sums over more accelerators round differently. */
export function probeKey({ spec: { accelerator } }: Pool, engineBuild: string): string {
  const { className, countPerSlot } = accelerator;
  return `${className}${countPerSlot === 1 ? '' : `x${countPerSlot}`}@${engineBuild}`;
}
