// The identity of a revision: sha256 over the canonical JSON of an explicit allow-list of fields. A field that is added to
// the version later is not hashed until it is listed here, and absent stays absent, so an upgrade never moves a digest.
import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { canonicalJson } from '../lib/canonical-json.ts';
import { imageDigestOf } from './engine-image.ts';
import type { versionSchema } from './model.ts';

interface HashInput {
  /** `spec.version` as it is in the object, with or without defaults. */
  readonly version: z.input<typeof versionSchema>;
  /**
   * What the weights are: 64 lower-case hex digits. Where they lie is not part of what they are. Simulated weights have a
   * digest too (simulated-weights.ts). Undefined when somebody else serves it: there is nothing that could be looked into.
   */
  readonly weightsSha256: string | undefined;
}

/**
 * The engine that scheme v1 never writes down. The API server may or may not have filled it in, and both must give the same
 * digest. It stays `Llama` for as long as there is a v1, whatever the default becomes.
 */
const V1_UNWRITTEN_ENGINE = 'Llama';
const DIGEST_HEX_IN_NAME = 10;

/** `v1:sha256:<64 hex>`. Throws NotCanonical on a value that has no canonical form. */
export function revisionDigest(input: HashInput): string {
  const text = canonicalJson(listHashed(input));
  return `v1:sha256:${createHash('sha256').update(text, 'utf8').digest('hex')}`;
}

/** `<model>-<first 10 hex>`: at most 63 characters, because names of Models have at most 52. */
export function revisionName(model: string, digest: string): string {
  return `${model}-${digest.slice(digest.lastIndexOf(':') + 1).slice(0, DIGEST_HEX_IN_NAME)}`;
}

/** The allow-list. What is undefined here is left out of the text. */
function listHashed({ version, weightsSha256 }: HashInput): object {
  const { engine, contextLength, sampling, remote } = version;
  return {
    weights: dropEmpty({ sha256: weightsSha256 }),
    remote: dropEmpty({ baseUrl: remote?.baseUrl, model: remote?.model }),
    engine: dropEmpty({
      name: engine?.name === V1_UNWRITTEN_ENGINE ? undefined : engine?.name,
      // Where it is pulled from is not part of what it is.
      image: engine?.image === undefined ? undefined : imageDigestOf(engine.image),
      args: engine?.args === undefined || engine.args.length === 0 ? undefined : engine.args,
    }),
    contextLength,
    sampling: dropEmpty({ temperature: sampling?.temperature, topP: sampling?.topP, topK: sampling?.topK }),
  };
}

/** An object without members says as much as no object. */
function dropEmpty(value: Readonly<Record<string, unknown>>): object | undefined {
  return Object.values(value).some((member) => member !== undefined) ? value : undefined;
}
