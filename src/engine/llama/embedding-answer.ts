// The answer to POST /v1/embeddings as bytes: each vector is made a unit vector and written as it comes, so that no turn of the
// event loop has to write them all. Pure.
import type { VectorEncoding } from './embedding-request.ts';

/** Digits after the point: one more than a component of a 32-bit vector can tell. */
const COMPONENT_SCALE = 1e9;

/** Scales to length 1. Undefined when it has no direction. */
export function normalise(vector: readonly number[]): readonly number[] | undefined {
  const length = Math.sqrt(vector.reduce((sum, each) => sum + each * each, 0));
  return length > 0 && Number.isFinite(length) ? vector.map((each) => each / length) : undefined;
}

export function renderEmbedding(index: number, vector: readonly number[], encoding: VectorEncoding): Buffer {
  const value = encoding === 'base64' ? `"${renderBase64(vector)}"` : renderNumbers(vector);
  return Buffer.from(`{"object":"embedding","index":${index},"embedding":${value}}`, 'latin1');
}

function renderNumbers(vector: readonly number[]): string {
  return JSON.stringify(vector.map((each) => Math.round(each * COMPONENT_SCALE) / COMPONENT_SCALE));
}

/** 32-bit floats, the lowest byte first. */
function renderBase64(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * Float32Array.BYTES_PER_ELEMENT);
  for (const [index, each] of vector.entries()) bytes.writeFloatLE(each, index * Float32Array.BYTES_PER_ELEMENT);
  return bytes.toString('base64');
}

/** The parts of the whole body, in order. */
export function renderEmbeddings(
  embeddings: readonly Buffer[],
  { model, promptTokens }: { readonly model: string; readonly promptTokens: number },
): readonly Buffer[] {
  const usage = { prompt_tokens: promptTokens, total_tokens: promptTokens };
  const comma = Buffer.from(',');
  return [
    Buffer.from('{"object":"list","data":['),
    ...embeddings.flatMap((embedding, index) => (index === 0 ? [embedding] : [comma, embedding])),
    Buffer.from(`],"model":${JSON.stringify(model)},"usage":${JSON.stringify(usage)}}`),
  ];
}
