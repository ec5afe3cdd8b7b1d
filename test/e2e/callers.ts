// Callers of the router: one streamed question with what it met, and a crowd that asks one after the other until it is told
// to stop. Judges nothing but how a stream ended.
import { Agent, request } from 'undici';

export interface Address {
  /** Of the router, without a path. */
  readonly url: string;
  readonly key: string;
}

/** How one question ended. `Told` is a stream that said in an error frame that it was cut; `Cut` said nothing. */
export type StreamEnd = 'Done' | 'Told' | 'Cut' | 'Refused' | 'Unreached';

export interface Answer {
  readonly end: StreamEnd;
  readonly status: number;
  readonly text: string;
  readonly raw: string;
  /** Whether it was told, inside the stream, that it waits. */
  readonly wasHeld: boolean;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly firstContentMs: number;
  readonly totalMs: number;
}

const QUESTION_MS_MAX = 120_000;

export async function ask(
  { url, key }: Address,
  model: string,
  options: { tokens?: number; agent?: Agent; onContent?: () => void } = {},
): Promise<Answer> {
  const startedMs = performance.now();
  const seen = { status: 0, raw: '', headers: {}, firstContentMs: 0 };
  try {
    const response = await request(`${url}/v1/chat/completions`, {
      ...(options.agent === undefined ? {} : { dispatcher: options.agent }),
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      body: JSON.stringify({
        model,
        stream: true,
        max_tokens: options.tokens ?? 32,
        messages: [{ role: 'user', content: 'Hello' }],
      }),
      signal: AbortSignal.timeout(QUESTION_MS_MAX),
    });
    seen.status = response.statusCode;
    seen.headers = response.headers;
    response.body.setEncoding('utf8');
    for await (const text of response.body) {
      seen.raw += text;
      if (seen.firstContentMs === 0 && seen.raw.includes('"content":"')) {
        seen.firstContentMs = performance.now() - startedMs;
        options.onContent?.();
      }
    }
  } catch (error) {
    if (seen.status === 0) seen.raw = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
  return {
    ...seen,
    text: contentOf(seen.raw),
    end: endOf(seen),
    wasHeld: /^: /m.test(seen.raw),
    totalMs: performance.now() - startedMs,
  };
}

function endOf({ status, raw }: { status: number; raw: string }): StreamEnd {
  if (status === 0) return 'Unreached';
  if (status !== 200) return 'Refused';
  if (raw.trimEnd().endsWith('data: [DONE]')) return 'Done';
  return /^data: \{"error":/m.test(raw) ? 'Told' : 'Cut';
}

function contentOf(raw: string): string {
  return [...raw.matchAll(/^data: (\{.*\})$/gm)]
    .map(([, data]) => JSON.parse(data ?? '{}').choices?.[0]?.delta?.content ?? '')
    .join('');
}

export interface Crowd {
  readonly answers: readonly Answer[];
  /** Resolves once the questions that run have ended. */
  stop(): Promise<readonly Answer[]>;
}

export function startCrowd(address: Address, model: string, callers: number, tokens: number): Crowd {
  const answers: Answer[] = [];
  const agent = new Agent({ connections: callers });
  let isOver = false;
  let closing: Promise<void> | undefined;
  const call = async () => {
    while (!isOver) answers.push(await ask(address, model, { tokens, agent }));
  };
  const all = Promise.all(Array.from({ length: callers }, call));
  return {
    answers,
    async stop() {
      isOver = true;
      await all;
      closing ??= agent.close();
      await closing;
      return answers;
    },
  };
}

/** `Done 120, Told 2` */
export function countEnds(answers: readonly Answer[]): string {
  const counts = new Map<string, number>();
  for (const { end } of answers) counts.set(end, (counts.get(end) ?? 0) + 1);
  return [...counts].map(([end, count]) => `${end} ${count}`).join(', ');
}
