// What a caller is told whose answer is larger than what is kept in memory for it. It is the request that is wrong: asked again,
// or asked of another instance, the answer would be as large. Pure.
import { EMBEDDINGS_PATH } from '../../api/data-path.ts';
import { type ErrorBody, type OutcomeCode, outcomes, renderErrorBody } from '../../api/outcomes.ts';

const CODE = 'invalid_request' satisfies OutcomeCode;

export interface LargeAnswerError {
  readonly status: number;
  readonly code: OutcomeCode;
  readonly body: ErrorBody;
}

/** `bytesMax`: the bound that the answer to a request for `path` did not keep. */
export function describeLargeAnswer(path: string, bytesMax: number): LargeAnswerError {
  // Vectors are never streamed.
  const isEmbeddings = path === EMBEDDINGS_PATH;
  const way = isEmbeddings ? 'Send fewer inputs at a time.' : 'Ask for less, or stream it.';
  const message = `The answer has more than ${bytesMax} bytes. ${way}`;
  const body = renderErrorBody(CODE, message, isEmbeddings ? 'input' : 'stream');
  return { status: outcomes[CODE].status, code: CODE, body };
}
