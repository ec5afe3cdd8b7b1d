// The wire between router and agent: plain HTTP/1.1 on the slot's address, one path per inference route.
//
// Request: POST <path> with the caller's body (possibly patched by the router) and the headers below.
// Answer:  a refusal (status 409, header x-stoker-refusal, no side effect, costs nothing), an error (OpenAI body), JSON,
// or a stream of canonical frames. A canonical frame is one SSE event that opens with a comment naming its number and
// kind, so that a router can forward the bytes from `data:` on without parsing JSON:
//
//     : 7 content\n
//     data: {"id":"chatcmpl-…","object":"chat.completion.chunk",…}\n
//     \n
//
// Numbers start at 1 and have no gaps. The last frame is `done` (data: [DONE]) or `error`; a stream that ends with
// neither was cut. `usage` is sent whenever the engine told it; the router asks the engine for it
// (`stream_options.include_usage`) and drops it when the caller did not ask.
//
// /v1/completions streams the same frames: the object is `text_completion`, and a frame is `content` when a choice has text.
// With several choices frames of different `index` follow each other in any order, each choice has its own `finish`, and
// content of one may come after the finish of another. /v1/embeddings answers in JSON alone.

export const SLOT_HEADERS = {
  /** Request: `<podUID>/<revision>/<incarnation>`; another incarnation refuses with StaleIncarnation. */
  instance: 'x-stoker-instance',
  /** Request: the id that every frame and the JSON body carry. */
  responseId: 'x-stoker-response-id',
  /** Request: milliseconds left until the request's deadline. The agent aborts the engine when they are over. */
  remainingMs: 'x-stoker-remaining-ms',
  /** Answer: why the slot did not take the request. */
  refusal: 'x-stoker-refusal',
} as const;

export const REFUSAL_STATUS = 409;
/** The closed list. Each sends the request back to the head of its queue; none is an attempt or a failure. */
export const refusals = ['Full', 'NotAwake', 'Draining', 'StaleKey', 'StaleIncarnation'] as const;
export type Refusal = (typeof refusals)[number];

export const frameKinds = ['role', 'content', 'finish', 'usage', 'other', 'error', 'done'] as const;
export type FrameKind = (typeof frameKinds)[number];

/** Paths that the agent forwards to the engine. Everything else is 404, whatever the engine offers. */
export const EMBEDDINGS_PATH = '/v1/embeddings';
export const inferencePaths: ReadonlySet<string> = new Set([
  '/v1/chat/completions',
  '/v1/completions',
  EMBEDDINGS_PATH,
]);
/** The largest JSON answer with choices. */
export const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
/** The largest answer to /v1/embeddings. */
export const EMBEDDINGS_BYTES_MAX = 32 * 1024 * 1024;
/** The largest single frame; a longer one is garbage and ends the stream. */
export const FRAME_BYTES_MAX = 1024 * 1024;
