// What the agent relies on, asked of every adapter alike: the real built-in engines, and the others against fakes of their
// programs. A new engine is done when it passes this.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { isWholeSample } from '../../src/agent/probe-check.ts';
import type { Launch } from '../../src/api/link.ts';
import { createFrameStream } from '../../src/core/stream/canonical-frames.ts';
import { EngineError } from '../../src/engine/engine-error.ts';
import { findMembers } from '../../src/engine/proc.ts';
import type { EngineAdapter, EngineProcess } from '../../src/ports/engine.ts';
import { enginesOf, launchOfEngine, pinnedDemo, withProgram } from '../support/engine-subjects.ts';
import { type InstalledFakes, installFakes } from '../support/fake-engines/installed.ts';
import { readFrames } from '../support/running-agent.ts';

interface Subject {
  readonly engine: Launch['engine'];
  readonly canSleep: boolean;
  readonly build: RegExp;
  /** Says no to what it was given: another file, another folder. */
  readonly checksWeights: boolean;
  /** The folder of a real program, in the place of its fake. */
  readonly program?: string;
}

const subjects: readonly Subject[] = [
  { engine: 'Llama', canSleep: true, build: /^builtin:[0-9a-f]{12}$/, checksWeights: true },
  { engine: 'Sim', canSleep: true, build: /^simulated:[0-9a-f]{12}$/, checksWeights: false },
  { engine: 'Vllm', canSleep: true, build: /^vllm:0\.11\.2$/, checksWeights: true },
  { engine: 'Sglang', canSleep: true, build: /^sglang:0\.5\.6$/, checksWeights: true },
  { engine: 'LlamaServer', canSleep: false, build: /^llama-server:b7100-0a1b2c3d$/, checksWeights: true },
];

/** With a real llama-server in this folder, the suite holds it to the same. */
const realLlamaServer = process.env.STOKER_TEST_LLAMA_SERVER;
const real: readonly Subject[] =
  realLlamaServer === undefined
    ? []
    : [
        {
          engine: 'LlamaServer',
          canSleep: false,
          build: /^llama-server:b/,
          checksWeights: true,
          program: realLlamaServer,
        },
      ];

const names = { id: 'chatcmpl-test', model: 'served', systemFingerprint: 'revision' };
const { signal } = new AbortController();
const question = (more: object = {}) => ({
  model: 'big/model',
  messages: [{ role: 'user', content: 'What is a load balancer?' }],
  max_tokens: 12,
  temperature: 0,
  ...more,
});
let serial = 0;

for (const subject of [...subjects, ...real]) {
  describe(`the engine ${subject.engine}${subject.program === undefined ? '' : ' for real'}`, {
    timeout: 60_000,
  }, () => {
    let fakes: InstalledFakes;
    let adapter: EngineAdapter;
    let launch: Launch;
    let instance = '';
    let started: EngineProcess | undefined;
    const isReal = subject.program !== undefined || subject.engine === 'Llama' || subject.engine === 'Sim';

    before(() => {
      fakes = installFakes();
      const { program } = subject;
      adapter = enginesOf(program === undefined ? fakes : withProgram(fakes, program)).adapters[subject.engine];
      launch = launchOfEngine(subject.engine, program === undefined ? fakes : { ...fakes, file: pinnedDemo() });
    });
    afterEach(async () => {
      await started?.stop(2000);
      started = undefined;
      if (instance !== '') assert.deepEqual(await findMembers({ instance }), [], 'processes are left behind');
    });
    after(() => fakes.remove());

    const start = async (changes: Partial<Launch> = {}) => {
      serial += 1;
      instance = `conformance-${process.pid}/${subject.engine}/${serial}`;
      started = await adapter.start(instance, { ...launch, ...changes } as Launch, signal);
      return started;
    };
    const loaded = async (changes: Partial<Launch> = {}) => {
      const process = await start(changes);
      await process.whenLoaded(signal);
      return process;
    };
    const ask = (process: EngineProcess, body: object, init: RequestInit = {}) =>
      fetch(`${process.baseUrl}/v1/chat/completions`, {
        method: 'POST',
        headers: { ...process.headers, 'content-type': 'application/json' },
        body: JSON.stringify(body),
        ...init,
      });

    test('loads, tells its build, answers the probe alike, is idle, holds memory, ends', async () => {
      const process = await loaded();
      assert.match((await process.identity(signal)).build, subject.build);
      const sample = await process.probe(signal);
      assert.equal(sample.tokenIds.length, 8);
      assert.ok(isWholeSample(sample), JSON.stringify(sample));
      assert.deepEqual(await process.probe(signal), sample);
      const { running, waiting } = await process.load(signal);
      assert.deepEqual({ running, waiting }, { running: 0, waiting: 0 });
      assert.ok((await process.memory()).residentBytes > 1_000_000);
      await process.check(signal);
      const exit = await process.stop(2000);
      assert.ok(exit.code === 0 || exit.signal === 'SIGTERM', JSON.stringify(exit));
      assert.deepEqual(await process.exited, exit);
      await assert.rejects(process.check(signal), EngineError);
    });

    test('a stream becomes canonical frames with content, finish, usage and an end', async () => {
      const process = await loaded();
      const response = await ask(process, question({ stream: true, stream_options: { include_usage: true } }));
      assert.equal(response.status, 200);
      assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
      const frames = createFrameStream(names);
      const text = frames.push(new Uint8Array(await response.arrayBuffer())) + frames.end();
      assert.equal(frames.state(), 'whole');
      const kinds = readFrames(text).map((piece) => piece.kind);
      for (const kind of ['content', 'finish', 'usage', 'done']) assert.ok(kinds.includes(kind), `${kind} in ${kinds}`);
    });

    test('a JSON answer has a choice and usage, and a greedy one is repeated', async () => {
      const process = await loaded();
      const answers = [await ask(process, question()), await ask(process, question())];
      const bodies = await Promise.all(answers.map(async (response) => (await response.json()) as Chat));
      for (const body of bodies) {
        assert.equal(typeof body.choices[0]?.message.content, 'string');
        assert.ok(body.usage.prompt_tokens > 0 && body.usage.completion_tokens > 0);
      }
      assert.equal(bodies[0]?.choices[0]?.message.content, bodies[1]?.choices[0]?.message.content);
    });

    test('whoever does not know its key is refused', async () => {
      const process = await loaded();
      const response = await ask(process, question(), { headers: { 'content-type': 'application/json' } });
      await response.body?.cancel();
      assert.equal(response.status, 401);
    });

    test('a prompt that is too long is refused with 400 and a sentence', async () => {
      const process = await loaded();
      const response = await ask(
        process,
        question({ messages: [{ role: 'user', content: 'many words '.repeat(3000) }] }),
      );
      assert.equal(response.status, 400);
      assert.match(await response.text(), /"message":"[^"]{10,}/);
    });

    test('a request whose connection is closed is ended, and its place is free', async () => {
      const process = await loaded();
      fakes.setFaults({ tokenMs: 20 });
      const abort = new AbortController();
      const body = question({ stream: true, max_tokens: 400, logit_bias: undefined });
      const response = await ask(process, body, { signal: abort.signal });
      await response.body?.getReader().read();
      const busy = async () => (await process.load(signal)).running;
      // Real engines may be done with it by now; the fakes would take eight seconds.
      if (!isReal) assert.equal(await busy(), 1);
      abort.abort();
      const endMs = performance.now() + 4000;
      while ((await busy()) > 0) assert.ok(performance.now() < endMs, 'it computes on for nobody');
      fakes.setFaults({});
    });

    test('sleep and wake are what survivesSleep says, are repeatable, and change no answer', async () => {
      assert.equal(adapter.survivesSleep(launch), subject.canSleep);
      assert.equal(adapter.survivesSleep({ ...launch, sleep: 'Never' }), false);
      if (!subject.canSleep) return;
      for (const level of [1, 2] as const) {
        const process = await loaded({ sleep: `Level${level}` });
        const sample = await process.probe(signal);
        for (let cycle = 0; cycle < 3; cycle += 1) {
          await process.sleep(level, signal);
          await process.sleep(level, signal);
          await process.check(signal);
          const { running } = await process.load(signal);
          assert.equal(running, 0);
          await process.wake(signal);
          await process.wake(signal);
          assert.deepEqual(await process.probe(signal), sample, `level ${level}, cycle ${cycle}`);
        }
        await process.stop(2000);
      }
    });

    test('a start that is given up leaves nothing behind', async () => {
      serial += 1;
      instance = `conformance-${process.pid}/${subject.engine}/${serial}`;
      const giveUp = new AbortController();
      const reason = new Error('nobody wants it');
      const starting = adapter.start(instance, launch, giveUp.signal).then(async (process) => {
        started = process;
        await process.whenLoaded(giveUp.signal);
      });
      giveUp.abort(reason);
      await assert.rejects(starting, (error) => error === reason);
    });

    test('an engine that is killed is seen to end', async () => {
      const engine = await loaded();
      process.kill(engine.pid, 'SIGKILL');
      const exit = await engine.exited;
      assert.equal(exit.signal, 'SIGKILL');
      await assert.rejects(engine.probe(signal), EngineError);
    });

    test('weights that are not those of the pin are not opened', async () => {
      if (!subject.checksWeights) return;
      const wrong = start({ weightsSha256: 'f'.repeat(64) });
      await assert.rejects(wrong, (error) => error instanceof EngineError && error.reason === 'WeightsChanged');
      const missing = start({ weightsPath: '/nowhere/at/all' });
      await assert.rejects(missing, (error) => error instanceof EngineError && error.reason === 'WeightsMissing');
    });
  });
}

interface Chat {
  readonly choices: readonly { readonly message: { readonly content: string } }[];
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number };
}
