// An engine's "no" in OpenAI's words: what engines that are not ours say about a bad request, in whatever shape, becomes our
// error body with our code. Only what is the caller's fault is translated; pure.
import { type ErrorBody, renderErrorBody } from '../../api/outcomes.ts';

type JsonObject = Readonly<Record<string, unknown>>;

/** Statuses by which an engine says that the request is wrong. 422 is what FastAPI says of a body that it cannot read. */
const callersFault: ReadonlySet<number> = new Set([400, 413, 422]);
const MESSAGE_CHARS_MAX = 500;
const PARAM_CHARS_MAX = 64;
/** vLLM; SGLang; llama-server, which has a type of its own for it. */
const tooLong = [
  /maximum context length/i,
  /longer than the model's context length/i,
  /exceeds the available context size/i,
];
const TOO_LONG_TYPE = 'exceed_context_size_error';

/** Undefined when it is no refusal of this request. The status to send is 400. */
export function translateRefusal(status: number, answer: JsonObject): ErrorBody | undefined {
  if (!callersFault.has(status)) return undefined;
  // vLLM and llama-server put it under `error`, SGLang does not, FastAPI calls it `detail`.
  const said = isObject(answer.error) ? answer.error : answer;
  const message = messageOf(said);
  if (message === undefined) return undefined;
  const isTooLong = said.type === TOO_LONG_TYPE || tooLong.some((pattern) => pattern.test(message));
  return renderErrorBody(isTooLong ? 'context_length_exceeded' : 'invalid_request', message, paramOf(said));
}

function messageOf(said: JsonObject): string | undefined {
  const { message, detail } = said;
  const text = typeof message === 'string' ? message : typeof detail === 'string' ? detail : firstOf(detail)?.msg;
  return typeof text === 'string' && text !== '' ? text.slice(0, MESSAGE_CHARS_MAX) : undefined;
}

function paramOf(said: JsonObject): string | null {
  const { param, detail } = said;
  if (typeof param === 'string') return param.slice(0, PARAM_CHARS_MAX);
  const place = firstOf(detail)?.loc;
  if (!Array.isArray(place)) return null;
  const path = place.filter((step) => step !== 'body').map(String);
  return path.length === 0 ? null : path.join('.').slice(0, PARAM_CHARS_MAX);
}

/** FastAPI lists what is wrong; the first is enough. */
function firstOf(detail: unknown): JsonObject | undefined {
  const first: unknown = Array.isArray(detail) ? detail[0] : undefined;
  return isObject(first) ? first : undefined;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
