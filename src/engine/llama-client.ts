// The administration calls to one of our own model server processes, over its HTTP on loopback. Answers are untrusted: bounded and
// checked against the schemas of llama/protocol.ts. Inference does not pass here.
import { Pool } from 'undici';
import type { z } from 'zod';
import { parseJson } from '../lib/json-text.ts';
import { readBounded } from './bounded-answer.ts';
import { EngineError, type EngineErrorReason } from './engine-error.ts';
import {
  type HealthAnswer,
  healthAnswerSchema,
  identityAnswerSchema,
  movedAnswerSchema,
  type ProbeAnswer,
  probeAnswerSchema,
} from './llama/protocol.ts';

const ANSWER_BYTES_MAX = 64 * 1024;
const CONNECT_MS_MAX = 5000;
/** We close an idle connection before the server does. */
const KEEP_ALIVE_MS_MAX = 60_000;
/** Tokens of a probe (DESIGN §6). */
const PROBE_TOKENS = 8;
/** What every probe asks. Any fixed text does; changing it makes every stored sample worthless. */
const PROBE_PROMPT = 'The quick brown fox jumps over the lazy dog. Stoker keeps models hot:';

export interface LlamaClient {
  health(signal: AbortSignal): Promise<HealthAnswer>;
  sleep(level: 1 | 2, signal: AbortSignal): Promise<void>;
  /** `facts` is what a simulated engine cannot see by itself. */
  wake(signal: AbortSignal, facts?: { readonly freeBytes: number }): Promise<void>;
  probe(signal: AbortSignal): Promise<ProbeAnswer>;
  /** The digest of its build. */
  build(signal: AbortSignal): Promise<string>;
  /** Drops every connection. */
  close(): void;
}

interface Call<T> {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: object;
  readonly answer: z.ZodType<T>;
  /** The reason of an error answer. */
  readonly refused: EngineErrorReason;
}

/** Rejects with EngineError: `refused` when the engine answered with an error, EngineUnreachable when nothing certain is known. */
export function createLlamaClient(baseUrl: string, headers: Readonly<Record<string, string>>): LlamaClient {
  // How long a call may take is the caller's signal to say: a load can take minutes.
  const pool = new Pool(baseUrl, {
    connections: 4,
    connect: { timeout: CONNECT_MS_MAX },
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveMaxTimeout: KEEP_ALIVE_MS_MAX,
  });
  const call = async <T>(what: Call<T>, signal: AbortSignal): Promise<T> => {
    const { status, text } = await exchange(pool, { ...what, headers }, signal);
    if (status !== 200) {
      throw new EngineError(what.refused, `The engine answered ${what.path} with ${status}: ${text.slice(0, 300)}`);
    }
    const parsed = what.answer.safeParse(parseJson(text));
    if (!parsed.success)
      throw new EngineError('EngineUnreachable', `The engine's answer to ${what.path} makes no sense.`);
    return parsed.data;
  };
  return {
    health: (signal) =>
      call({ method: 'GET', path: '/health', answer: healthAnswerSchema, refused: 'EngineUnreachable' }, signal),
    async sleep(level, signal) {
      await call(
        { method: 'POST', path: '/sleep', body: { level }, answer: movedAnswerSchema, refused: 'SleepFailed' },
        signal,
      );
    },
    async wake(signal, facts = undefined) {
      await call(
        { method: 'POST', path: '/wake_up', body: facts ?? {}, answer: movedAnswerSchema, refused: 'WakeFailed' },
        signal,
      );
    },
    probe(signal) {
      const body = { prompt: PROBE_PROMPT, tokens: PROBE_TOKENS };
      return call({ method: 'POST', path: '/probe', body, answer: probeAnswerSchema, refused: 'ProbeFailed' }, signal);
    },
    async build(signal) {
      const what = {
        method: 'GET',
        path: '/identity',
        answer: identityAnswerSchema,
        refused: 'EngineUnreachable',
      } as const;
      return (await call(what, signal)).build;
    },
    close: () => void pool.destroy().catch(() => {}),
  };
}

async function exchange(
  pool: Pool,
  what: Pick<Call<unknown>, 'method' | 'path' | 'body'> & { headers: Readonly<Record<string, string>> },
  signal: AbortSignal,
): Promise<{ status: number; text: string }> {
  const content = what.body === undefined ? {} : { body: JSON.stringify(what.body) };
  const headers = { ...what.headers, ...(what.body === undefined ? {} : { 'content-type': 'application/json' }) };
  try {
    const answer = await pool.request({ method: what.method, path: what.path, headers, signal, ...content });
    return { status: answer.statusCode, text: await readBounded(answer.body, ANSWER_BYTES_MAX) };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new EngineError('EngineUnreachable', `The engine did not answer ${what.path}: ${why}`);
  }
}
