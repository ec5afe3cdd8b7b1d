// What an engine needs to run a revision in a slot: pinned facts from the ModelRevision, serving settings from the Model.
// Pure. Where the file lies may have moved since the pin; its digest has not.
import type { Launch, OwnEngine } from '../api/link.ts';
import type { Model } from '../api/model.ts';
import type { ModelRevision } from '../api/model-revision.ts';
import type { Pool } from '../api/pool.ts';

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
}

/** Undefined when the revision says nothing that an engine could be started with: somebody else serves it. */
export function renderLaunch(facts: LaunchFacts): Launch | undefined {
  const { spec, metadata } = facts.revision;
  const { weights, contextLength, engine } = spec;
  if (weights === undefined || contextLength === undefined || engine.name === 'Remote') return undefined;
  const frame = renderFrame(facts, { contextLength, engine: engine.name });
  if (weights.simulated !== undefined) {
    const { simulation } = facts.model.spec;
    return {
      engine: 'Sim',
      ...frame,
      simulated: weights.simulated,
      ...(simulation === undefined ? {} : { simulation }),
    };
  }
  const weightsPath = metadata.annotations?.[PATH_ANNOTATION] ?? weights.path;
  if (weightsPath === undefined) return undefined;
  const { sizeBytes: weightsSizeBytes, sha256: weightsSha256 } = weights;
  return { engine: 'Llama', ...frame, weightsPath, weightsSizeBytes, weightsSha256 };
}

function renderFrame(
  { revision, model, pool, engineBuild }: LaunchFacts,
  { contextLength, engine }: { readonly contextLength: number; readonly engine: OwnEngine },
) {
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
    sleep: serving.sleep === 'Auto' ? autoSleep[engine] : serving.sleep,
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

/** The engine of a revision as a process of a slot; undefined when it needs none. */
export function slotEngineOf({ spec }: ModelRevision): OwnEngine | undefined {
  return spec.engine.name === 'Remote' ? undefined : spec.engine.name;
}

/** What one class and build answered is not expected of another. */
export function probeKey(pool: Pool, engineBuild: string): string {
  return `${pool.spec.accelerator.className}@${engineBuild}`;
}
