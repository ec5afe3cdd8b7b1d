// The administration calls to an engine that is not ours, over its HTTP on loopback. Answers are untrusted: bounded, and
// checked against a schema by whoever asks. Inference does not pass here.
import { Pool } from 'undici';
import type { z } from 'zod';
import { parseJson } from '../../lib/json-text.ts';
import { readBounded } from '../bounded-answer.ts';
import { EngineError, type EngineErrorReason } from '../engine-error.ts';

const ANSWER_BYTES_MAX = 256 * 1024;
/** What an engine counts: some hundred series of histograms. */
export const METRICS_BYTES_MAX = 4 * 1024 * 1024;
const CONNECT_MS_MAX = 5000;
const KEEP_ALIVE_MS_MAX = 4000;
const SHOWN_CHARS_MAX = 300;

export interface EngineAsk {
  readonly method: 'GET' | 'POST';
  /** With its query. */
  readonly path: string;
  readonly body?: object;
  readonly bytesMax?: number;
}

export interface EngineAnswer {
  readonly status: number;
  readonly text: string;
}

export interface EngineHttp {
  /** Resolves with whatever status. Rejects with EngineUnreachable when nothing certain is known. */
  ask(what: EngineAsk, signal: AbortSignal): Promise<EngineAnswer>;
  close(): void;
}

/** How long a call may take is the caller's signal to say: a load can take minutes. */
export function createEngineHttp(baseUrl: string, headers: Readonly<Record<string, string>>): EngineHttp {
  const pool = new Pool(baseUrl, {
    connections: 4,
    connect: { timeout: CONNECT_MS_MAX },
    headersTimeout: 0,
    bodyTimeout: 0,
    // The engines' Python servers close idle connections after five seconds: we close first.
    keepAliveTimeout: KEEP_ALIVE_MS_MAX,
    keepAliveMaxTimeout: KEEP_ALIVE_MS_MAX,
  });
  return {
    async ask({ method, path, body, bytesMax }, signal) {
      const content = body === undefined ? {} : { body: JSON.stringify(body) };
      const all = { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
      try {
        const answer = await pool.request({ method, path, headers: all, signal, ...content });
        return { status: answer.statusCode, text: await readBounded(answer.body, bytesMax ?? ANSWER_BYTES_MAX) };
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        throw new EngineError('EngineUnreachable', `The engine did not answer ${pathOf(path)}: ${why}`);
      }
    },
    close: () => void pool.destroy().catch(() => {}),
  };
}

/** A call that must succeed. `refused` is the reason of any other status than 200. */
export async function demand(
  http: EngineHttp,
  what: EngineAsk & { readonly refused: EngineErrorReason },
  signal: AbortSignal,
): Promise<string> {
  const { status, text } = await http.ask(what, signal);
  if (status === 200) return text;
  const said = text.slice(0, SHOWN_CHARS_MAX).trim();
  throw new EngineError(what.refused, `The engine answered ${pathOf(what.path)} with ${status}${said && `: ${said}`}`);
}

/** The same for an answer that is JSON. */
export async function demandJson<T>(
  http: EngineHttp,
  what: EngineAsk & { readonly refused: EngineErrorReason; readonly answer: z.ZodType<T> },
  signal: AbortSignal,
): Promise<T> {
  const parsed = what.answer.safeParse(parseJson(await demand(http, what, signal)));
  if (parsed.success) return parsed.data;
  throw new EngineError(what.refused, `The engine's answer to ${pathOf(what.path)} makes no sense.`);
}

function pathOf(path: string): string {
  return path.split('?', 1)[0] ?? path;
}
