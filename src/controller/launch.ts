// What an engine needs to run a revision in a slot: pinned facts from the ModelRevision, serving settings from the Model.
// Pure. Where the file lies may have moved since the pin; its digest has not.
import type { Launch } from '../api/link.ts';
import type { Model } from '../api/model.ts';
import type { ModelRevision } from '../api/model-revision.ts';
import type { Pool } from '../api/pool.ts';

/** On a ModelRevision: where the same file was found later. */
export const PATH_ANNOTATION = 'stoker.dev/weights-path';

export interface LaunchFacts {
  readonly revision: ModelRevision;
  readonly model: Model;
  readonly pool: Pool;
  /** The build that the slot's engine has, as far as is known. */
  readonly engineBuild: string;
}

export function renderLaunch({ revision, model, pool, engineBuild }: LaunchFacts): Launch {
  const { spec, metadata, status } = revision;
  const { serving, servedName } = model.spec;
  const key = probeKey(pool, engineBuild);
  const probe = status?.probes?.find((one) => one.key === key);
  return {
    engine: spec.engine.name,
    servedName,
    revision: metadata.name,
    weightsPath: metadata.annotations?.[PATH_ANNOTATION] ?? spec.weights.path,
    weightsSizeBytes: spec.weights.sizeBytes,
    weightsSha256: spec.weights.sha256,
    contextLength: spec.contextLength,
    concurrency: serving.concurrency,
    ...(spec.sampling === undefined ? {} : { sampling: spec.sampling }),
    // The built-in engine survives level 2, which gives back the most memory.
    sleep: serving.sleep === 'Auto' ? 'Level2' : serving.sleep,
    drainMs: Math.min(serving.drainSeconds, pool.spec.maxDrainSeconds) * 1000,
    ...(probe === undefined ? {} : { probeExpected: probe.sample }),
  };
}

/** What one class and build answered is not expected of another. */
export function probeKey(pool: Pool, engineBuild: string): string {
  return `${pool.spec.accelerator.className}@${engineBuild}`;
}
