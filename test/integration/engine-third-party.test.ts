// How engines that are not ours disappoint, and what their adapters make of it: loads that fail, ports that are lost, sleeps
// and wakes that go wrong in the ways that others have reported. Against fakes of their programs (test/support/fake-engines).
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import type { Launch } from '../../src/api/link.ts';
import { type CompileCache, createCompileCache } from '../../src/engine/compile-cache.ts';
import { EngineError } from '../../src/engine/engine-error.ts';
import { createFileDigests } from '../../src/engine/file-digest.ts';
import { createGroupRecords } from '../../src/engine/group-records.ts';
import { createLlamaServerAdapter } from '../../src/engine/llama-server-adapter.ts';
import { findMembers } from '../../src/engine/proc.ts';
import { createSglangAdapter } from '../../src/engine/sglang-adapter.ts';
import { createPorts, type Ports } from '../../src/engine/third-party/free-port.ts';
import { createVllmAdapter } from '../../src/engine/vllm-adapter.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { createRng } from '../../src/lib/rng.ts';
import type { EngineProcess } from '../../src/ports/engine.ts';
import { launchOfEngine } from '../support/engine-subjects.ts';
import type { Faults } from '../support/fake-engines/fake-model.ts';
import { type InstalledFakes, installFakes } from '../support/fake-engines/installed.ts';
import { until } from '../support/until.ts';

const { signal } = new AbortController();
const creators = { Vllm: createVllmAdapter, Sglang: createSglangAdapter, LlamaServer: createLlamaServerAdapter };
type Engine = keyof typeof creators;
const all: readonly Engine[] = ['Vllm', 'Sglang', 'LlamaServer'];
const sleepers: readonly Engine[] = ['Vllm', 'Sglang'];

/** Time that goes on by itself, and jumps when a test says so. */
function createJumpingClock(): Clock & { jump(ms: number): void } {
  let offsetMs = 0;
  const jump = (ms: number) => {
    offsetMs += ms;
  };
  return { ...systemClock, nowMs: () => systemClock.nowMs() + offsetMs, jump };
}

describe('engines that are not ours', { timeout: 60_000 }, () => {
  let fakes: InstalledFakes;
  let serial = 0;
  let instance = '';
  let started: EngineProcess | undefined;
  let clock = createJumpingClock();

  before(() => {
    fakes = installFakes();
  });
  afterEach(async () => {
    await started?.stop(2000);
    started = undefined;
    fakes.setFaults({});
    clock = createJumpingClock();
    assert.deepEqual(await findMembers({ instance }), [], 'processes are left behind');
  });
  after(() => fakes.remove());

  const start = async (
    engine: Engine,
    given: { changes?: Partial<Launch>; ports?: Ports; signal?: AbortSignal; compileCache?: CompileCache } = {},
  ) => {
    serial += 1;
    instance = `third-party-${process.pid}/${engine.toLowerCase()}-0123456789/${serial}`;
    const adapter = creators[engine]({
      records: createGroupRecords(fakes.stateDir, silentLog),
      environment: fakes.environment,
      clock,
      ports: given.ports ?? createPorts(createRng(process.pid + serial)),
      digests: createFileDigests(),
      compileCache: given.compileCache,
    });
    const launch = { ...launchOfEngine(engine, fakes), ...given.changes } as Launch;
    started = await adapter.start(instance, launch, given.signal ?? signal);
    return started;
  };
  const loaded = async (engine: Engine, changes: Partial<Launch> = {}) => {
    const process = await start(engine, { changes });
    await process.whenLoaded(signal);
    return process;
  };
  const failureOf = async (promise: Promise<unknown>) => {
    const error = await promise.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof EngineError, `no EngineError, but ${String(error)}`);
    return error;
  };
  const withFaults = (faults: Faults) => fakes.setFaults(faults);

  for (const engine of all) {
    describe(engine, () => {
      test('a load that fails says what the program said last, and never its key', async () => {
        withFaults({ failsLoad: true });
        const process = await start(engine);
        const { reason, message } = await failureOf(process.whenLoaded(signal));
        assert.equal(reason, 'EngineExited');
        assert.match(message, /memory|allocate/);
        const { lastWords } = await process.exited;
        assert.ok(!lastWords.includes(process.headers.authorization!.slice('Bearer '.length)));
      });

      test('a port that was lost to another program ends the process, which says so', async () => {
        withFaults({ losesPort: true });
        const { reason, message } = await failureOf((await start(engine)).whenLoaded(signal));
        assert.equal(reason, 'EngineExited');
        assert.match(message, /in use|bind/);
      });

      test('another program that answers on its port is not taken for it', async () => {
        const impostor = await listen((_request, response) => {
          response.setHeader('content-type', 'application/json');
          response.end(JSON.stringify({ object: 'list', data: [{ id: 'somebody-else' }] }));
        });
        const ports = { take: async () => impostor.port, giveBack: () => {} };
        withFaults({ loadMs: 60_000 });
        // llama-server binds at once and ends; the others have not bound yet.
        const { reason, message } = await failureOf((await start(engine, { ports })).whenLoaded(signal));
        assert.equal(
          reason,
          engine === 'LlamaServer' && reason === 'EngineExited' ? 'EngineExited' : 'LoadFailed',
          message,
        );
        await impostor.close();
      });

      test('a start that is given up while it loads ends everything', async () => {
        withFaults({ loadMs: 60_000 });
        const giveUp = new AbortController();
        const reason = new Error('nobody wants it');
        const process = await start(engine, { signal: giveUp.signal });
        const loading = process.whenLoaded(giveUp.signal);
        giveUp.abort(reason);
        await assert.rejects(loading, (error) => error === reason);
        await process.stop(2000);
      });

      test('an argument that is not on the list starts nothing', async () => {
        const { reason, message } = await failureOf(
          start(engine, { changes: { args: ['--trust-remote-code'] } as Partial<Launch> }),
        );
        assert.equal(reason, 'StartFailed');
        assert.match(message, /--trust-remote-code is not an argument/);
      });

      test('what the lists allow, the program knows', async () => {
        const args = {
          Vllm: ['--dtype=bfloat16', '--enforce-eager'],
          Sglang: ['--mem-fraction-static=0.8', '--disable-radix-cache'],
          LlamaServer: ['--n-gpu-layers=all', '--mlock'],
        };
        const sampling = { temperature: '0.5', topP: '0.9', topK: 10 };
        const sizes =
          engine === 'Vllm'
            ? { kvCacheBytes: 1_000_000 }
            : engine === 'Sglang'
              ? { kvTokens: 4096, staticPermille: 812 }
              : {};
        await loaded(engine, { args: args[engine], sampling, ...sizes } as Partial<Launch>);
      });

      test('tells how long it took after the weights were there, if it knows', async () => {
        const process = await start(engine);
        assert.equal(process.warmedMs?.(), undefined);
        await process.whenLoaded(signal);
        const warmedMs = process.warmedMs?.();
        if (engine === 'LlamaServer') assert.equal(warmedMs, undefined);
        else assert.ok(warmedMs !== undefined && warmedMs >= 5, String(warmedMs));
      });

      test('a process that ignores SIGTERM is killed after its grace', async () => {
        withFaults({ ignoresTerm: true });
        const process = await loaded(engine);
        const exit = await process.stop(50);
        assert.equal(exit.signal, 'SIGKILL');
      });

      test('old figures of an idle engine are no reason to end it', async () => {
        const process = await loaded(engine);
        withFaults({ staleFigures: true });
        await process.check(signal);
        clock.jump(200_000);
        await process.check(signal);
        assert.equal((await process.load(signal)).running, 1);
      });

      test('the image that it runs from is its build', async () => {
        const imageDigest = `sha256:${'c'.repeat(64)}`;
        const process = await loaded(engine, { imageDigest } as Partial<Launch>);
        assert.deepEqual(await process.identity(signal), { build: `image@${imageDigest}` });
      });
    });
  }

  test('vLLM: health is green while what computes is gone; an engine with waiting work and no step is stuck', async () => {
    const process = await loaded('Vllm');
    withFaults({ losesCore: true });
    const cut = new AbortController();
    const waiting = fetch(`${process.baseUrl}/v1/completions`, {
      method: 'POST',
      headers: process.headers,
      body: JSON.stringify({ model: 'big/model', prompt: 'x' }),
      signal: cut.signal,
    }).catch(() => {});
    while ((await process.load(signal)).waiting === 0) await new Promise((resolve) => setImmediate(resolve));
    await process.check(signal);
    clock.jump(200_000);
    // The agent's checks have a deadline; here it ends the question that no core answers.
    const deadline = new AbortController();
    const check = failureOf(process.check(deadline.signal));
    while ((await process.load(signal)).waiting < 2) await new Promise((resolve) => setImmediate(resolve));
    deadline.abort(new Error('too late'));
    const { reason, message } = await check;
    assert.equal(reason, 'EngineStuck');
    assert.match(message, /computed nothing for 200 s with 1 requests/);
    cut.abort();
    await waiting;
  });

  test('vLLM: an order to sleep that is answered and not obeyed fails', async () => {
    const process = await loaded('Vllm');
    withFaults({ ignoresSleep: true });
    assert.equal((await failureOf(process.sleep(1, signal))).reason, 'SleepFailed');
  });

  test('vLLM: an order whose connection breaks is not repeated: its state is asked for', async () => {
    const process = await loaded('Vllm');
    const sample = await process.probe(signal);
    withFaults({ breaksOrders: true });
    await process.sleep(1, signal);
    await process.wake(signal);
    assert.deepEqual(await process.probe(signal), sample);
  });

  test('SGLang: an order whose connection breaks fails, because there is no state to ask for', async () => {
    const process = await loaded('Sglang');
    withFaults({ breaksOrders: true });
    assert.equal((await failureOf(process.sleep(1, signal))).reason, 'EngineUnreachable');
  });

  test('SGLang: a sleep waits until what it computes has left', async () => {
    const process = await loaded('Sglang');
    withFaults({ tokenMs: 5 });
    const answer = await fetch(`${process.baseUrl}/generate`, {
      method: 'POST',
      headers: process.headers,
      body: JSON.stringify({ text: 'long', stream: true, sampling_params: { max_new_tokens: 100_000 } }),
    });
    await until(() => answer.ok, 'the stream to begin');
    await process.sleep(1, signal);
    await answer.body?.cancel().catch(() => {});
    await process.check(signal);
    await process.wake(signal);
  });

  test('what vLLM compiled once is there for the next start, of the same revision', async () => {
    const options = { folder: join(fakes.stateDir, 'compiled'), userId: 7 };
    const folder = `${options.folder}-user-7`;
    const compileCache = createCompileCache({ ...options, clock, log: silentLog });
    const compiled = async () => {
      await (await start('Vllm', { compileCache })).whenLoaded(signal);
      const [revision = ''] = readdirSync(folder);
      const graph = readFileSync(join(folder, revision, 'vllm/torch_compile_cache/graph'), 'utf8');
      await started?.stop(2000);
      return graph;
    };
    const first = await compiled();
    assert.equal(await compiled(), first);
    assert.equal(readdirSync(folder).length, 1);
  });

  for (const engine of sleepers) {
    test(`${engine}: a wake that fails says why`, async () => {
      const process = await loaded(engine);
      await process.sleep(1, signal);
      withFaults({ failsWake: true });
      const { reason, message } = await failureOf(process.wake(signal));
      assert.equal(reason, 'WakeFailed');
      assert.match(message, /with (400|500)/);
    });

    test(`${engine}: a wake that corrupts the weights looks healthy, and its probe is another one`, async () => {
      const process = await loaded(engine);
      const sample = await process.probe(signal);
      await process.sleep(1, signal);
      withFaults({ corruptsWake: true });
      await process.wake(signal);
      await process.check(signal);
      assert.notDeepEqual((await process.probe(signal)).tokenIds, sample.tokenIds);
    });
  }
});

async function listen(handle: Parameters<typeof createServer>[1]): Promise<{ port: number; close(): Promise<void> }> {
  const server: Server = createServer(handle ?? (() => {}));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
