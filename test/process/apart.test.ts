// The controller and two routers started by the lines that `stoker up --cluster-only` prints. Each is killed while sixteen
// answers stream: the streams of one router end with it, and nobody else notices.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Agent } from 'undici';
import { delay, systemClock } from '../../src/lib/clock.ts';
import { callChat } from '../chaos/chat-call.ts';
import { startLanes } from '../chaos/lanes.ts';
import { freePorts } from '../support/cluster/free-ports.ts';
import { personApi } from '../support/person-api.ts';
import { descendants, isRunning } from '../support/process-tree.ts';
import { applyFleet, coldModel, LANES_EACH, objectNames, stoker, stokerWith, streamingModels } from './fleet.ts';
import { type StartedProcess, startLine } from './started-process.ts';

const RECOVERY_MS_MAX = 20_000;
/** It is written half a minute after a controller began with the model. */
const LEARNED_MS_MAX = 60_000;
/** What is assumed of answers before any was seen. */
const OUTPUT_TOKENS_GUESS = 200;
const [model] = streamingModels;

describe('parts that are started apart', { timeout: 180_000 }, () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'stoker-apart-'));
  const dispatcher = new Agent();
  let cluster: StartedProcess;
  let controller: StartedProcess;
  let routers: [StartedProcess, StartedProcess];
  let controllerLine: string;
  let routerLine: string;

  before(async () => {
    const [linkPort = 0] = await freePorts(1);
    cluster = startCluster(dataDir, linkPort);
    controllerLine = await cluster.prints(/(npx stoker controller .*)$/m);
    routerLine = await cluster.prints(/(npx stoker router .*)$/m);
    routers = [startRouter(routerLine), startRouter(routerLine)];
    controller = startController(controllerLine);
    await applyFleet(dataDir, 'Llama');
  });

  after(async () => {
    await dispatcher.close();
    await Promise.all([...routers, controller].map((part) => part.end('SIGINT')));
    const slots = descendants(cluster.pid);
    await cluster.end('SIGINT');
    assert.deepEqual(slots.filter(isRunning), [], 'no process is left');
    rmSync(dataDir, { recursive: true, force: true });
  });

  async function urlOf(router: StartedProcess): Promise<string> {
    return router.prints(/"url":"(http:[^"]+)"/);
  }

  async function untilServed(router: StartedProcess, name: string): Promise<void> {
    const startedMs = systemClock.nowMs();
    const url = await urlOf(router);
    for (;;) {
      const wish = { url, dispatcher, id: `probe-${name}`, model: name, prompt: 'Hello!', stream: true, maxTokens: 20 };
      const end = await callChat(wish, systemClock.nowMs);
      if (end.ending === 'whole') return;
      assert.ok(systemClock.nowMs() - startedMs < RECOVERY_MS_MAX, `${name}: ${end.ending} ${end.code}`);
      await delay(systemClock, 10);
    }
  }

  async function startLoads() {
    await Promise.all(routers.map((router) => untilServed(router, model)));
    const loads = await Promise.all(
      routers.map(async (router) =>
        startLanes({ url: await urlOf(router), lanesOf: { [model]: LANES_EACH }, maxTokens: 400 }),
      ),
    );
    return loads as [ReturnType<typeof startLanes>, ReturnType<typeof startLanes>];
  }

  test('requests are held, woken and streamed through either router', async () => {
    for (const router of routers) await untilServed(router, model);
  });

  test('kill -9 of one router ends its own streams and no others', async () => {
    const [own, other] = await startLoads();
    await own.streaming(LANES_EACH / 2);
    await routers[0].end('SIGKILL');
    routers[0] = startRouter(routerLine);
    await untilServed(routers[0], model);
    await Promise.all([own.stop(), other.stop()]);
    const ofDead = own.ended.filter(({ ending }) => ending !== 'whole');
    assert.ok(ofDead.some(({ ending, pieces }) => ending === 'broken' && pieces > 0));
    assert.ok(ofDead.every(({ ending }) => ending === 'broken' || ending === 'unreachable'));
    assert.deepEqual(
      other.ended.filter(({ ending }) => ending !== 'whole'),
      [],
    );
  });

  test('kill -9 of the controller is noticed by nobody, and the next one wakes models', async () => {
    const loads = await startLoads();
    await Promise.all(loads.map((load) => load.streaming(LANES_EACH / 2)));
    await controller.end('SIGKILL');
    const endedBefore = loads.map((load) => load.ended.length);
    await Promise.all(loads.map((load, at) => load.ends((endedBefore[at] ?? 0) + 2 * LANES_EACH)));
    controller = startController(controllerLine);
    await untilServed(routers[1], coldModel);
    await Promise.all(loads.map((load) => load.stop()));
    const notWhole = loads.flatMap((load) => load.ended).filter(({ ending }) => ending !== 'whole');
    assert.deepEqual(notWhole, []);
    const { stdout } = await stoker(dataDir, 'get', 'models');
    assert.match(stdout, new RegExp(coldModel));
  });

  /** A figure behind the last decision, as the controller that runs now tells it. */
  async function explained(name: string): Promise<unknown> {
    const url = await controller.prints(/"adminUrl":"(http:[^"]+)"/);
    const variables = { STOKER_DATA_DIR: dataDir, STOKER_CONTROLLER_URL: url };
    const { stdout } = await stokerWith(variables, 'explain', 'scale', model, '--output', 'json');
    const { terms } = JSON.parse(stdout) as { terms: { name: string; value: unknown }[] };
    return terms.find((term) => term.name === name)?.value;
  }

  test('what a controller has learned of a model is known to the next one', async () => {
    const api = personApi(join(dataDir, 'kubeconfig'));
    const learned = () => api.get<{ data: Record<string, string> }>('ConfigMap', `${model}-learned`);
    const startedMs = systemClock.nowMs();
    while ((await learned().catch(() => undefined)) === undefined) {
      assert.ok(systemClock.nowMs() - startedMs < LEARNED_MS_MAX, 'it is written');
      await delay(systemClock, 100);
    }
    const text = (await learned()).data['learned.json'] ?? '';
    await api.close();
    assert.ok(text.length <= 65_536, `${text.length} bytes`);
    await controller.end('SIGKILL');
    controller = startController(controllerLine);
    await untilServed(routers[1], coldModel);
    const memory = JSON.parse(text).memory.scaler;
    assert.ok(memory.cost.samples > 0 && memory.output.weight > 0, text);
    assert.equal(await explained('outputTokens'), Math.round(memory.output.meanTokens));
    assert.notEqual(await explained('outputTokens'), OUTPUT_TOKENS_GUESS);
  });

  test('objects survive kill -9 of the API with all that stands on it', async () => {
    const before = personApi(join(dataDir, 'kubeconfig'));
    const names = await objectNames(before);
    await before.close();
    const slots = descendants(cluster.pid);
    await cluster.end('SIGKILL');
    const startedMs = systemClock.nowMs();
    while (slots.some(isRunning)) {
      assert.ok(systemClock.nowMs() - startedMs < RECOVERY_MS_MAX, 'children end when their parent is gone');
      await delay(systemClock, 20);
    }
    cluster = startCluster(dataDir, Number(/--link-port (\d+)/.exec(controllerLine)?.[1]));
    await cluster.prints(/(npx stoker router .*)$/m);
    const reader = personApi(join(dataDir, 'kubeconfig'));
    assert.deepEqual(await objectNames(reader), names);
    await reader.close();
  });
});

function startCluster(dataDir: string, linkPort: number): StartedProcess {
  const flags = ['--data-dir', dataDir, '--api-port', '0', '--link-port', String(linkPort)];
  return startLine('npx stoker up --cluster-only', flags);
}

/** On free ports: the tests of this folder may not take the documented ones. */
function startRouter(line: string): StartedProcess {
  return startLine(line, ['--port', '0', '--admin-port', '0']);
}

function startController(line: string): StartedProcess {
  return startLine(line.replace(/--admin-port \d+/, '--admin-port 0'));
}
