// An engine for tests of the agent: a real HTTP server in this process behind the EngineAdapter port. Each step can be held
// up, made to fail, or answer wrongly; the chat is scripted. Starts nothing that outlives `close`.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Launch } from '../../src/api/link.ts';
import type { ProbeSample } from '../../src/api/model-revision.ts';
import type { Engines } from '../../src/engine/engines.ts';
import type { EngineAdapter, EngineExit, EngineProcess } from '../../src/ports/engine.ts';

export const goodSample: ProbeSample = {
  tokenIds: [1, 2, 3, 4, 5, 6, 7, 8],
  logprobs: ['-0.1', '-0.2', '-0.3', '-0.4', '-0.5', '-0.6', '-0.7', '-0.8'],
};

type Step = (process: FakeProcess, signal: AbortSignal) => Promise<void>;
export type Chat = (call: { body: string; request: IncomingMessage; response: ServerResponse }) => void;

/** What the fakes do; change it at any time. Default: everything works at once. */
export interface FakeBehaviour {
  start: (instance: string, launch: Launch, signal: AbortSignal) => Promise<void>;
  load: Step;
  wake: Step;
  sleep: Step;
  check: Step;
  stop: (process: FakeProcess) => Promise<void>;
  probe: (process: FakeProcess) => Promise<ProbeSample>;
  chat: Chat;
  survivesSleep: boolean;
}

export interface FakeProcess extends EngineProcess {
  readonly instance: string;
  readonly launch: Launch;
  readonly log: string[];
  isAsleep: boolean;
  isGone: boolean;
  /** Ends as a crash does: every connection breaks. */
  crash(exit?: Partial<EngineExit>): Promise<void>;
}

export interface FakeEngine {
  readonly behaviour: FakeBehaviour;
  readonly processes: FakeProcess[];
  readonly engines: Engines;
  /** The process that was started last. */
  latest(): FakeProcess;
  close(): Promise<void>;
}

export function createFakeEngine(): FakeEngine {
  const processes: FakeProcess[] = [];
  const behaviour: FakeBehaviour = {
    start: async () => {},
    load: async () => {},
    wake: async () => {},
    sleep: async () => {},
    check: async () => {},
    stop: async () => {},
    probe: async () => goodSample,
    chat: ({ response }) => answerJson(response, { object: 'chat.completion', choices: [] }),
    survivesSleep: true,
  };
  const adapter = {
    engine: 'Llama' as const,
    survivesSleep: () => behaviour.survivesSleep,
    async start(instance: string, launch: Launch, signal: AbortSignal) {
      await behaviour.start(instance, launch, signal);
      const process = await startProcess(instance, launch, behaviour);
      processes.push(process);
      return process;
    },
  };
  return {
    behaviour,
    processes,
    engines: { adapters: adaptersLike(adapter), endStale: async () => 0 },
    latest() {
      const last = processes.at(-1);
      if (last === undefined) throw new Error('no engine was started');
      return last;
    },
    async close() {
      for (const process of processes) await process.stop(0);
    },
  };
}

/** The same for every engine. */
export function adaptersLike(adapter: EngineAdapter): Engines['adapters'] {
  return {
    Llama: adapter,
    Sim: { ...adapter, engine: 'Sim' },
    Vllm: { ...adapter, engine: 'Vllm' },
    Sglang: { ...adapter, engine: 'Sglang' },
    LlamaServer: { ...adapter, engine: 'LlamaServer' },
  };
}

async function startProcess(instance: string, launch: Launch, behaviour: FakeBehaviour): Promise<FakeProcess> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => {});
    response.on('error', () => {});
    request.on('end', () => behaviour.chat({ body: Buffer.concat(chunks).toString('utf8'), request, response }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  let leave: (exit: EngineExit) => void = () => {};
  const exited = new Promise<EngineExit>((resolve) => {
    leave = resolve;
  });
  const log: string[] = [];
  const end = async (exit: EngineExit) => {
    if (!process.isGone) {
      process.isGone = true;
      await closeServer(server);
      leave(exit);
    }
    return exited;
  };
  const step = (name: string, run: Step) => async (signal: AbortSignal) => {
    log.push(name);
    await run(process, signal);
  };
  const process: FakeProcess = {
    instance,
    launch,
    log,
    isAsleep: false,
    isGone: false,
    pid: 0,
    baseUrl: `http://127.0.0.1:${port}`,
    headers: { authorization: 'Bearer engine-key' },
    exited,
    whenLoaded: step('load', (self, signal) => behaviour.load(self, signal)),
    async probe() {
      log.push('probe');
      return behaviour.probe(process);
    },
    async sleep(level, signal) {
      log.push(`sleep ${level}`);
      await behaviour.sleep(process, signal);
      process.isAsleep = true;
    },
    async wake(signal) {
      log.push('wake');
      await behaviour.wake(process, signal);
      process.isAsleep = false;
    },
    check: (signal) => behaviour.check(process, signal),
    identity: async () => ({ build: 'builtin:0123456789ab' }),
    memory: async () => ({ residentBytes: 1000 }),
    load: async () => ({ running: 0, waiting: 0 }),
    async stop() {
      log.push('stop');
      await behaviour.stop(process);
      return end({ code: 0, signal: null, lastWords: '' });
    },
    async crash(exit = {}) {
      await end({ code: 139, signal: null, lastWords: 'segmentation fault', ...exit });
    },
  };
  return process;
}

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}

export function answerJson(response: ServerResponse, body: object, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

/** Opens a stream of server-sent events as an engine does. */
export function openEvents(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.flushHeaders();
}

export function chunk(delta: object, finish: string | null = null, more: object = {}): string {
  const choices = [{ index: 0, delta, logprobs: null, finish_reason: finish }];
  const body = { id: 'engine-id', object: 'chat.completion.chunk', created: 1, model: 'engine-name', choices, ...more };
  return `data: ${JSON.stringify(body)}\n\n`;
}

export const usageChunk = `data: ${JSON.stringify({
  id: 'engine-id',
  object: 'chat.completion.chunk',
  created: 1,
  model: 'engine-name',
  choices: [],
  usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
})}\n\n`;
