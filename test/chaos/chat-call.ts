// One chat request as a caller makes it, and what became of it, judged by what arrived alone. A call ends in exactly one way,
// and an answer that merely stops is told apart from one that says why.
import { type Agent, request } from 'undici';

/** How a call ended, as its caller sees it. */
export type CallEnding =
  /** The whole answer. */
  | 'whole'
  /** The stream said that it failed, and closed without [DONE]. */
  | 'told'
  /** The connection broke: no caller takes that for an answer. */
  | 'broken'
  /** An error with a status, before any answer. */
  | 'refused'
  /** Nobody listened. */
  | 'unreachable'
  /** The caller himself hung up. */
  | 'cancelled'
  /** It merely stopped, or said two things at once: the caller would take a part for the whole. */
  | 'untruthful';

export interface CallWish {
  readonly url: string;
  readonly dispatcher: Agent;
  readonly id: string;
  readonly model: string;
  readonly prompt: string;
  readonly stream: boolean;
  readonly maxTokens: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly extra?: Readonly<Record<string, unknown>>;
  /** Hangs up. */
  readonly signal?: AbortSignal;
  /** Called for each piece that arrived; waiting in it makes the caller a slow reader. */
  readonly onPiece?: (call: CallProgress) => Promise<void> | void;
}

export interface CallProgress {
  readonly id: string;
  readonly model: string;
  status: number | undefined;
  text: string;
  /** Content frames. */
  pieces: number;
  firstContentMs: number | undefined;
  lastContentMs: number | undefined;
}

export interface CallEnd extends Readonly<CallProgress> {
  readonly ending: CallEnding;
  /** The error's code, or the reason of a broken connection. */
  readonly code: string | undefined;
  readonly finish: string | undefined;
  readonly startedMs: number;
  readonly endedMs: number;
}

const DATA = 'data: ';

type Verdict = Pick<CallEnd, 'ending' | 'code' | 'finish'>;

/** Never rejects. */
export async function callChat(wish: CallWish, nowMs: () => number): Promise<CallEnd> {
  const startedMs = nowMs();
  const progress: CallProgress = {
    id: wish.id,
    model: wish.model,
    status: undefined,
    text: '',
    pieces: 0,
    firstContentMs: undefined,
    lastContentMs: undefined,
  };
  const verdict = await ask(wish, progress, nowMs).catch((error: unknown) => failureOf(error, wish, progress));
  return { ...progress, ...verdict, startedMs, endedMs: nowMs() };
}

async function ask(wish: CallWish, progress: CallProgress, nowMs: () => number): Promise<Verdict> {
  const { url, dispatcher, id, model, prompt, stream, maxTokens, extra, headers, signal } = wish;
  const response = await request(`${url}/v1/chat/completions`, {
    method: 'POST',
    dispatcher,
    headers: { 'content-type': 'application/json', 'x-request-id': id, ...headers },
    body: JSON.stringify({
      model,
      stream,
      max_tokens: maxTokens,
      messages: [{ role: 'user', content: prompt }],
      ...extra,
    }),
    headersTimeout: 0,
    bodyTimeout: 0,
    ...(signal === undefined ? {} : { signal }),
  });
  progress.status = response.statusCode;
  if (response.statusCode !== 200) {
    const text = await response.body.text();
    return { ending: 'refused', code: errorCode(text) ?? `status ${response.statusCode}`, finish: undefined };
  }
  if (!stream) return readJson(await response.body.text(), progress, nowMs);
  return readStream(response.body, { wish, progress, nowMs });
}

function readJson(text: string, progress: CallProgress, nowMs: () => number): Verdict {
  const answer = JSON.parse(text) as { choices: { message: { content: string }; finish_reason: string }[] };
  const [choice] = answer.choices;
  progress.text = choice?.message.content ?? '';
  progress.pieces = 1;
  progress.firstContentMs = nowMs();
  return { ending: 'whole', code: undefined, finish: choice?.finish_reason };
}

interface Chunk {
  readonly error?: { readonly code?: string };
  readonly choices?: readonly { readonly delta?: { readonly content?: string }; readonly finish_reason?: string }[];
}

async function readStream(
  body: AsyncIterable<Uint8Array>,
  { wish, progress, nowMs }: { wish: CallWish; progress: CallProgress; nowMs: () => number },
): Promise<Verdict> {
  const decoder = new TextDecoder();
  const seen: Seen = { done: false, error: undefined, finish: undefined, isGarbled: false };
  let rest = '';
  for await (const bytes of body) {
    rest += decoder.decode(bytes, { stream: true });
    const frames = rest.split('\n\n');
    rest = frames.pop() ?? '';
    for (const frame of frames) {
      const content = takeFrame(frame, seen);
      if (content === '') continue;
      progress.text += content;
      progress.pieces += 1;
      progress.lastContentMs = nowMs();
      progress.firstContentMs ??= progress.lastContentMs;
      await wish.onPiece?.(progress);
    }
  }
  if (rest !== '') seen.isGarbled = true;
  return verdictOf(seen);
}

interface Seen {
  done: boolean;
  error: string | undefined;
  finish: string | undefined;
  isGarbled: boolean;
}

/** Notes what the frame says. Returns its content. */
function takeFrame(frame: string, seen: Seen): string {
  if (frame.startsWith(':')) return '';
  // Nothing may come after the end, whichever it was.
  if (seen.done || seen.error !== undefined || !frame.startsWith(DATA)) seen.isGarbled = true;
  const data = frame.slice(DATA.length);
  if (data === '[DONE]') {
    seen.done = true;
    return '';
  }
  const chunk = parseChunk(data);
  if (chunk === undefined) seen.isGarbled = true;
  if (chunk?.error !== undefined) seen.error = chunk.error.code ?? 'no code';
  const choice = chunk?.choices?.[0];
  seen.finish = choice?.finish_reason ?? seen.finish;
  return choice?.delta?.content ?? '';
}

function verdictOf({ done, error, finish, isGarbled }: Seen): Verdict {
  if (isGarbled) return { ending: 'untruthful', code: 'garbled', finish };
  if (error !== undefined) return { ending: done ? 'untruthful' : 'told', code: error, finish };
  if (!done || finish === undefined) return { ending: 'untruthful', code: 'it merely stopped', finish };
  return { ending: 'whole', code: undefined, finish };
}

function parseChunk(data: string): Chunk | undefined {
  try {
    return JSON.parse(data) as Chunk;
  } catch {
    return undefined;
  }
}

function errorCode(text: string): string | undefined {
  return parseChunk(text)?.error?.code;
}

function failureOf(error: unknown, { signal }: CallWish, { status }: CallProgress): Verdict {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  if (signal?.aborted === true) return { ending: 'cancelled', code: undefined, finish: undefined };
  if (status === undefined && code === 'ECONNREFUSED') return { ending: 'unreachable', code, finish: undefined };
  return { ending: 'broken', code, finish: undefined };
}
