// What a revision pins of its engine: the build of one of ours, the image of one that is not, or that it runs as it is installed
// on the one machine there is. Refuses what could never start here. Pure: a tag stays one here, and pin-image.ts resolves it.
import { isThirdParty, type ThirdPartyEngine } from '../api/engine-arguments.ts';
import { INSTALLED_BUILD, imageDigestOf, renderImageBuild } from '../api/engine-image.ts';
import type { Model } from '../api/model.ts';
import type { ModelRevision } from '../api/model-revision.ts';
import { fail, ok, type Result } from '../lib/result.ts';
import type { ControllerOptions } from './options.ts';

export interface PinRefusal {
  readonly reason: string;
  readonly message: string;
}

export type PinnedEngine = ModelRevision['spec']['engine'];
export type EngineFacts = Pick<ControllerOptions, 'engineBuilds' | 'slotPods' | 'allowsInstalledEngines'>;

/** Of a version that runs in a slot. */
export function pinEngine({ version }: Model['spec'], facts: EngineFacts): Result<PinnedEngine, PinRefusal> {
  const { image, args } = version.engine;
  // Who names simulated weights means the simulated engine; validation holds the two together.
  const name = version.weights?.simulated === undefined ? version.engine.name : 'Sim';
  if (!isThirdParty(name)) {
    const own = name === 'Sim' ? 'Sim' : 'Llama';
    return ok({ name: own, build: facts.engineBuilds[own] });
  }
  const refusal = refuseEngine(name, image, facts);
  if (refusal !== undefined) return fail(refusal);
  return ok({
    name,
    build: image === undefined ? INSTALLED_BUILD : renderImageBuild(imageDigestOf(image)),
    ...(image === undefined ? {} : { image }),
    ...(args === undefined ? {} : { args }),
  });
}

function refuseEngine(
  name: ThirdPartyEngine,
  image: string | undefined,
  { slotPods, allowsInstalledEngines }: EngineFacts,
): PinRefusal | undefined {
  if (slotPods !== undefined) {
    if (image !== undefined) return undefined;
    const message = `${name} is not part of Stoker and runs from its own image. Set spec.version.engine.image to it.`;
    return { reason: 'ImageMissing', message };
  }
  if (image !== undefined) {
    const message = `Stoker runs no images on one machine. Leave spec.version.engine.image out: the ${name} that is installed here is run.`;
    return { reason: 'ImageNotUsable', message };
  }
  if (allowsInstalledEngines === true) return undefined;
  const message = `${name} is not part of Stoker. It runs on this machine only when Stoker is started with --allow-commands; else use the engine Llama.`;
  return { reason: 'EngineNotAllowed', message };
}
