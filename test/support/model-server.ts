// The model server of the built-in engine as a process, started on the demo model, and what its tests ask of it.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ServerConfigInput } from '../../src/engine/llama/config.ts';
import { healthAnswerSchema, type ServerLine, serverLineSchema } from '../../src/engine/llama/protocol.ts';

export const serverEntry = fileURLToPath(new URL('../../src/engine/llama/server-process.ts', import.meta.url));
export const demoModel = fileURLToPath(new URL('../../models/stoker-demo-1m.gguf', import.meta.url));
export const SERVER_KEY = 'k'.repeat(32);
export const CONTEXT_TOKENS = 512;
const WAIT_MS_MAX = 30_000;

export interface ModelServer {
  readonly child: ChildProcess;
  readonly url: string;
  readonly lines: ServerLine[];
  /** Everything on standard output that was no line of ours. */
  readonly noise: string[];
  /** Milliseconds from spawn until the line that `wanted` accepts. */
  until(wanted: (line: ServerLine) => boolean): Promise<number>;
  call(path: string, init?: RequestInit): Promise<Response>;
  stop(): Promise<void>;
}

export async function startModelServer(given: Partial<ServerConfigInput> = {}): Promise<ModelServer> {
  const config: ServerConfigInput = {
    instance: 'pod/demo-0000000000/1',
    modelPath: demoModel,
    servedName: 'demo',
    contextLength: CONTEXT_TOKENS,
    concurrency: 16,
    threads: 1,
    gpu: false,
    key: SERVER_KEY,
    drainMs: 3000,
    ...given,
  };
  const spawnedMs = performance.now();
  const child = spawn(process.execPath, [serverEntry], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, MALLOC_ARENA_MAX: '2' },
  });
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors += String(chunk);
  });
  child.stdin.write(`${JSON.stringify(config)}\n`);
  const lines: (ServerLine & { atMs: number })[] = [];
  const noise: string[] = [];
  const waiters = new Set<() => void>();
  createInterface({ input: child.stdout }).on('line', (text) => {
    const parsed = serverLineSchema.safeParse(tryJson(text));
    if (parsed.success) lines.push({ ...parsed.data, atMs: performance.now() - spawnedMs });
    else noise.push(text);
    for (const waiter of waiters) waiter();
  });
  const until = (wanted: (line: ServerLine) => boolean) =>
    new Promise<number>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no such line; last words: ${errors.slice(-500)}`)), WAIT_MS_MAX);
      const look = () => {
        const found = lines.find((line) => wanted(line));
        if (found === undefined) return;
        clearTimeout(timer);
        waiters.delete(look);
        resolve(found.atMs);
      };
      waiters.add(look);
      look();
    });
  await until((line) => line.type === 'listening');
  const listening = lines.find((line) => line.type === 'listening');
  const url = `http://127.0.0.1:${listening?.type === 'listening' ? listening.port : 0}`;
  return {
    child,
    url,
    lines,
    noise,
    until,
    call: (path, init) =>
      fetch(url + path, { ...init, headers: { authorization: `Bearer ${SERVER_KEY}`, ...init?.headers } }),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
  };
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export const isReadyLine = (line: ServerLine) => line.type === 'state' && line.state === 'ready';

export interface Chunk {
  choices: { delta?: { role?: string; content?: string }; finish_reason: string | null }[];
  usage?: {
    prompt_tokens: number;
    completion_tokens: number;
    total_tokens: number;
    prompt_tokens_details: { cached_tokens: number };
  } | null;
  error?: { code: string };
}

export const ask = (content: string, more: object = {}) => ({
  method: 'POST',
  body: JSON.stringify({ model: 'demo', messages: [{ role: 'user', content }], ...more }),
});

/** Ten letters pushed above everything else, so that an answer of them never comes to its end. */
export const letters = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [64 + index, 60]));
/** A request that answers at random for as long as the context lasts. */
export const endless = (more: object = {}) => ask('Go on.', { stream: true, logit_bias: letters, ...more });

/** The events of a stream; `onChunk` runs as they come. */
export async function readStream(response: Response, onChunk: (chunk: Chunk) => void = () => {}) {
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'text/event-stream');
  const chunks: Chunk[] = [];
  let text = '';
  let done = false;
  const decoder = new TextDecoder();
  for await (const bytes of response.body ?? []) {
    text += decoder.decode(bytes as Uint8Array, { stream: true });
    for (let at = text.indexOf('\n\n'); at >= 0; at = text.indexOf('\n\n')) {
      const data = text.slice(0, at).replace(/^data: /, '');
      text = text.slice(at + 2);
      if (data === '[DONE]') {
        done = true;
        continue;
      }
      const chunk = JSON.parse(data) as Chunk;
      chunks.push(chunk);
      onChunk(chunk);
    }
  }
  const content = chunks.map((chunk) => chunk.choices?.[0]?.delta?.content ?? '').join('');
  const finish = chunks.map((chunk) => chunk.choices?.[0]?.finish_reason).find((reason) => typeof reason === 'string');
  return { chunks, content, finish, done };
}

export async function health(of: ModelServer) {
  return healthAnswerSchema.parse(await (await of.call('/health')).json());
}

/** Asks /health until `wanted` holds; gives the milliseconds it took. */
export async function untilHealth(of: ModelServer, wanted: (answer: Awaited<ReturnType<typeof health>>) => boolean) {
  const beganMs = performance.now();
  while (!wanted(await health(of))) {
    if (performance.now() - beganMs > 10_000) throw new Error('the health did not come about');
  }
  return performance.now() - beganMs;
}
