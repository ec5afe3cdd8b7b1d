// The body of POST /v1/embeddings: passages and how their vectors are to be written, or a refusal that names the first wrong
// field. Must never turn a text into tokens (embeddings.ts does).
import { checkModelField } from './answer-fields.ts';
import { asObject, readInteger, wrongField } from './json-fields.ts';
import { type Passage, parsePassages } from './passages.ts';

/** OpenAI's bound. */
const INPUTS_MAX = 2048;
/** Numbers in one answer: 23 MB of JSON at most. */
const VALUES_MAX = 2 ** 21;
const DIMENSIONS_MAX = 1_000_000;

export type VectorEncoding = 'float' | 'base64';

export interface EmbeddingRequest {
  /** At least one. */
  readonly inputs: readonly Passage[];
  readonly encoding: VectorEncoding;
}

/** `dimensions` is what the model's vectors have. */
export function parseEmbeddingRequest(json: unknown, dimensions: number): EmbeddingRequest {
  const body = asObject(json);
  if (body === undefined) throw wrongField('body', 'The body must be one JSON object.');
  checkModelField(body);
  const asked = readInteger(body, 'dimensions', 1, DIMENSIONS_MAX);
  if (asked !== undefined && asked !== dimensions) {
    throw wrongField(
      'dimensions',
      `This model's vectors have ${dimensions} dimensions, and no other number can be had.`,
    );
  }
  const encoding = body.encoding_format ?? 'float';
  if (encoding !== 'float' && encoding !== 'base64') {
    throw wrongField('encoding_format', '`encoding_format` must be float or base64.');
  }
  return { inputs: parseInputs(body, dimensions), encoding };
}

function parseInputs(body: Readonly<Record<string, unknown>>, dimensions: number): readonly Passage[] {
  const inputs = parsePassages(body, 'input', INPUTS_MAX);
  const inputsMax = Math.max(1, Math.floor(VALUES_MAX / dimensions));
  if (inputs.length <= inputsMax) return inputs;
  throw wrongField('input', `With vectors of ${dimensions} dimensions \`input\` may hold at most ${inputsMax} items.`);
}
