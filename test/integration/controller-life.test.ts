// The whole controller against agents, routers and objects in memory, on a manual clock: from a cold model to a deleted one.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { Condition } from '../../src/api/group.ts';
import { kinds } from '../../src/api/kinds.ts';
import { tableSchema } from '../../src/api/link.ts';
import { createLab, type Lab } from '../support/controller-lab.ts';
import { type LabAgent, START_MS, WAKE_MS } from '../support/lab-agent.ts';

let lab: Lab;
beforeEach(async () => {
  lab = await createLab();
});
afterEach(async () => {
  await lab.stop();
  assert.equal(lab.clock.pendingTimers(), 0, 'no timer is left');
});

const upstreamVersion = { engine: { name: 'Remote' }, remote: { baseUrl: 'http://127.0.0.1:1/v1', model: 'm' } };
const status = (name = 'demo') => lab.cluster.must(kinds.Model, name).status;
const condition = (type: string, name = 'demo'): Condition | undefined =>
  status(name)?.conditions?.find((one) => one.type === type);
const onlyAgent = (): LabAgent => {
  const [agent, ...others] = lab.agents.values();
  assert.ok(agent !== undefined && others.length === 0, 'there is one slot');
  return agent;
};
const rungOf = (revision: string | undefined) => onlyAgent().instance(revision ?? '')?.rung;

async function coldDemo(spec: object = {}): Promise<ReturnType<Lab['router']>> {
  lab.pool('default', { slots: { min: 1, max: 1 } });
  lab.model('demo', { scaling: { sleepAfterSeconds: 60 }, ...spec });
  const router = lab.router();
  router.demand([]);
  await lab.pass(200);
  return router;
}

describe('a cold model', () => {
  test('is pinned, listed, cold and asleep to the world until somebody asks', async () => {
    const router = await coldDemo();
    assert.equal(condition('Pinned')?.status, 'True');
    assert.equal(condition('Ready')?.reason, 'Cold');
    assert.equal(status()?.rung, 'Staged');
    assert.equal(status()?.observedGeneration, 1);
    assert.deepEqual(
      router.table().models.map(({ servedName, stable }) => [servedName, stable?.revision]),
      [['demo', status()?.stableRevision]],
    );
    assert.deepEqual(router.table().endpoints, []);
    const warmth = router.table().warmth.get('demo');
    assert.ok((warmth?.etaMs ?? 0) > 500, 'the first guess follows the size');
    assert.deepEqual(onlyAgent().instances(), []);
  });

  test('is woken within milliseconds of the demand, routed when probed, and slept after idle', async () => {
    const router = await coldDemo();
    const before = onlyAgent().targets.length;
    router.demand([{ queued: 1 }]);
    lab.clock.advance(5);
    const target = onlyAgent().targets.at(-1);
    assert.equal(onlyAgent().targets.length, before + 1, 'the wake did not wait for a tick');
    assert.deepEqual(
      target?.instances.map(({ revision, rung }) => [revision, rung]),
      [[status()?.stableRevision, 'Awake']],
    );
    await lab.pass(START_MS - 100);
    assert.deepEqual(router.table().endpoints, [], 'nothing is routed before the probe');
    assert.equal(router.table().warmth.get('demo')?.rung, 'Starting');
    await lab.pass(300);
    const [endpoint, ...others] = router.table().endpoints;
    assert.equal(others.length, 0);
    assert.deepEqual(
      [endpoint?.address, endpoint?.share, endpoint?.revision],
      ['127.0.0.1:9000', 8, status()?.stableRevision],
    );
    assert.equal(router.table().warmth.get('demo')?.etaMs, 0);
    const key = router.table().keys.get(onlyAgent().podUid)?.key;
    assert.deepEqual(onlyAgent().targets.at(-1)?.keys, [{ version: 1, key }]);
    assert.equal(condition('Ready')?.reason, 'Awake');
    assert.equal(lab.cluster.must(kinds.Pod, onlyAgent().name).metadata.labels?.['stoker.dev/awake'], 'demo');

    router.demand([]);
    await lab.pass(60_000);
    assert.equal(status()?.rung, 'Asleep');
    assert.deepEqual(router.table().endpoints, []);
    assert.equal(lab.cluster.must(kinds.Pod, onlyAgent().name).metadata.labels?.['stoker.dev/awake'], undefined);
    assert.match(status()?.scaleDecision ?? '', /nobody asks/);

    assert.ok(Math.abs((router.table().warmth.get('demo')?.etaMs ?? 0) - WAKE_MS) < 200);
    router.demand([{ queued: 1 }]);
    await lab.pass(WAKE_MS + 100);
    assert.equal(status()?.rung, 'Awake');
    assert.equal(router.table().warmth.get('demo')?.etaMs, 0);
    assert.equal(router.table().endpoints.length, 1);
  });

  test('a wake lease wakes it, too', async () => {
    const router = await coldDemo();
    router.demand([{ wakeLeaseMs: 30_000 }]);
    await lab.pass(50);
    assert.equal(rungOf(status()?.stableRevision), 'Starting');
  });

  test('a wake lease keeps its slot until the caller has come', async () => {
    const router = await coldDemo();
    lab.model('other');
    router.demand([{ wakeLeaseMs: 120_000 }]);
    await lab.pass(WAKE_MS + 5000);
    assert.equal(status()?.rung, 'Awake');
    const before = onlyAgent().targets.length;
    router.demand([{ wakeLeaseMs: 60_000 }, { model: 'other', queued: 1, oldestQueuedMs: 5000 }]);
    await lab.pass(5000);
    const told = onlyAgent()
      .targets.slice(before)
      .flatMap(({ instances }) => instances);
    assert.ok(told.every(({ model, rung }) => (model === 'demo') === (rung === 'Awake')));
    assert.equal(status()?.rung, 'Awake', 'the other one waits');
    router.demand([{ wakeLeaseMs: 0 }, { model: 'other', queued: 1, oldestQueuedMs: 10_000 }]);
    await lab.pass(5000);
    assert.notEqual(status()?.rung, 'Awake', 'the promise is over');
  });

  test('is explained with every term to who has the token', async () => {
    const router = await coldDemo();
    router.demand([{ queued: 3 }]);
    await lab.pass(50);
    const { get } = adminOf(lab);
    assert.equal((await get('/explain/scale/demo')).status, 401);
    const answer = await get('/explain/scale/demo', 'secret');
    const explanation = JSON.parse(answer.body);
    assert.equal(explanation.desired, 1);
    assert.match(explanation.sentence, /requests wait/);
    assert.equal(explanation.terms.find((term: { name: string }) => term.name === 'queued').value, 3);
    assert.equal((await get('/explain/scale/other', 'secret')).status, 404);
    assert.equal((await get('/readyz')).status, 200);
    assert.match((await get('/metrics')).body, /stoker_reconciles_total\{kind="Model",outcome="done"\} [1-9]/);
  });
});

test('a controller that leads says at once that no router is there', async () => {
  assert.match((await adminOf(lab).get('/metrics')).body, /stoker_link_sessions\{role="router"\} 0/);
});

describe('silence', () => {
  test('of every router holds what is awake', async () => {
    const router = await coldDemo();
    router.demand([{ queued: 1 }]);
    await lab.pass(START_MS + 200);
    router.silence();
    await lab.pass(120_000);
    assert.equal(status()?.rung, 'Awake');
    assert.match(status()?.scaleDecision ?? '', /no router says/);
    router.demand([]);
    await lab.pass(1000);
    assert.equal(status()?.rung, 'Asleep');
  });

  test('of no router at all holds it as well', async () => {
    const router = await coldDemo();
    router.demand([{ queued: 1 }]);
    await lab.pass(START_MS + 200);
    router.disconnect();
    await lab.pass(120_000);
    assert.equal(status()?.rung, 'Awake');
  });
});

describe('a new version', () => {
  const edit = (path: string) =>
    lab.cluster.change(kinds.Model, 'demo', { spec: { version: { weights: { file: { path } } } } });

  test('is woken, takes over when it is probed, and the old one goes', async () => {
    const router = await coldDemo();
    router.demand([{ queued: 1 }]);
    await lab.pass(START_MS + 200);
    const old = status()?.stableRevision;
    router.demand([]);
    lab.weights.set('next.gguf', { sha256: 'b'.repeat(64), sizeBytes: 2_000_000, trainedContextLength: 2048 });
    edit('next.gguf');
    await lab.pass(200);
    const candidate = status()?.candidateRevision;
    assert.ok(candidate !== undefined && candidate !== old);
    assert.equal(status()?.stableRevision, old);
    assert.equal(condition('Updated')?.reason, 'CandidateStarting');
    assert.deepEqual(
      router.table().endpoints.filter(({ revision }) => revision === candidate),
      [],
    );
    await lab.pass(START_MS + 2000);
    assert.equal(status()?.stableRevision, candidate);
    assert.equal(status()?.candidateRevision, undefined);
    assert.equal(condition('Updated')?.reason, 'UpToDate');
    assert.equal(router.table().models[0]?.stable?.revision, candidate);
    assert.deepEqual(
      router.table().endpoints.map(({ revision }) => revision),
      [candidate],
    );
    assert.equal(rungOf(old), undefined, 'nothing of the old one is left');
    assert.ok(lab.cluster.events.some(({ reason }) => reason === 'Promoted'));
  });

  test('that fails leaves the stable one in charge and says why', async () => {
    const router = await coldDemo();
    const old = status()?.stableRevision;
    lab.weights.set('bad.gguf', { sha256: 'c'.repeat(64), sizeBytes: 1, trainedContextLength: 2048 });
    edit('bad.gguf');
    await lab.settle();
    await lab.pass(20);
    const candidate = status()?.candidateRevision ?? '';
    onlyAgent().breakRevision(candidate, 'LoadFailed');
    await lab.pass(START_MS + 500);
    assert.equal(condition('Updated')?.reason, 'CandidateFailed');
    assert.match(condition('Updated')?.message ?? '', /LoadFailed/);
    assert.equal(status()?.stableRevision, old);
    router.demand([{ queued: 1 }]);
    await lab.pass(START_MS + 500);
    assert.deepEqual(
      router.table().endpoints.map(({ revision }) => revision),
      [old],
    );
    router.demand([{ inFlight: 1 }]);
    await lab.pass(5000);
    assert.deepEqual(
      router.table().endpoints.map(({ revision }) => revision),
      [old],
      'it is not pushed out at once',
    );
  });

  test('that is taken back is forgotten', async () => {
    await coldDemo();
    const old = status()?.stableRevision;
    lab.weights.set('next.gguf', { sha256: 'b'.repeat(64), sizeBytes: 1, trainedContextLength: 2048 });
    edit('next.gguf');
    await lab.pass(100);
    assert.ok(status()?.candidateRevision !== undefined);
    edit('demo.gguf');
    await lab.pass(START_MS + 500);
    assert.equal(status()?.candidateRevision, undefined);
    assert.equal(status()?.stableRevision, old);
    assert.deepEqual(onlyAgent().instances(), []);
  });

  test('moved to another path without other bytes is the same revision, opened there', async () => {
    const router = await coldDemo();
    const old = status()?.stableRevision;
    lab.weights.set('moved.gguf', { sha256: 'a'.repeat(64), sizeBytes: 1_000_000, trainedContextLength: 2048 });
    edit('moved.gguf');
    await lab.pass(200);
    assert.equal(status()?.stableRevision, old);
    assert.equal(condition('Updated')?.reason, 'UpToDate');
    router.demand([{ queued: 1 }]);
    await lab.pass(50);
    const launch = onlyAgent().targets.at(-1)?.instances[0]?.launch;
    assert.equal(launch?.engine === 'Llama' && launch.weightsPath, '/models/moved.gguf');
  });
});

describe('weights', () => {
  test('that are missing are said to be, and found when they come', async () => {
    await coldDemo({ version: { weights: { file: { path: 'none.gguf' } } } });
    assert.equal(condition('Pinned')?.reason, 'WeightsMissing');
    assert.match(condition('Pinned')?.message ?? '', /There is no file none\.gguf\. Put it there/);
    assert.equal(condition('Ready')?.status, 'False');
    lab.weights.set('none.gguf', { sha256: 'd'.repeat(64), sizeBytes: 1, trainedContextLength: 512 });
    await lab.pass(10_000);
    assert.equal(condition('Pinned')?.status, 'True');
    assert.equal(lab.cluster.list(kinds.ModelRevision)[0]?.spec.contextLength, 512);
  });

  test('that are corrupt tell callers so, and an edit is looked at without a wait', async () => {
    lab.weights.set('corrupt.gguf', 'corrupt.gguf is no GGUF file.');
    const router = await coldDemo({ version: { weights: { file: { path: 'corrupt.gguf' } } } });
    assert.equal(condition('Pinned')?.reason, 'WeightsInvalid');
    assert.equal(router.table().warmth.get('demo')?.failure?.reason, 'WeightsInvalid');
    await lab.pass(60_000);
    lab.cluster.change(kinds.Model, 'demo', { spec: { version: { weights: { file: { path: 'demo.gguf' } } } } });
    await lab.pass(100);
    assert.equal(condition('Pinned')?.status, 'True');
    assert.equal(router.table().warmth.get('demo')?.failure, undefined);
  });

  test('that fail to load make the model fail for callers, until it is tried again', async () => {
    const router = await coldDemo();
    const revision = status()?.stableRevision ?? '';
    onlyAgent().breakRevision(revision, 'LoadFailed');
    router.demand([{ queued: 1 }]);
    await lab.pass(START_MS + 200);
    assert.equal(router.table().warmth.get('demo')?.failure?.reason, 'LoadFailed');
    assert.equal(condition('Ready')?.reason, 'LoadFailed');
    // The next try is under way: the condition does not come and go with it.
    await lab.pass(START_MS + 1100);
    assert.equal(condition('Ready')?.reason, 'LoadFailed');
    router.demand([]);
    onlyAgent().breakRevision(revision, undefined);
    await lab.pass(3000);
    assert.equal(router.table().warmth.get('demo')?.failure, undefined);
    router.demand([{ queued: 1 }]);
    await lab.pass(START_MS + 300);
    assert.equal(condition('Ready')?.reason, 'Awake');
  });

  test('a context longer than the model was trained for is refused', async () => {
    await coldDemo({ version: { weights: { file: { path: 'demo.gguf' } }, contextLength: 4096 } });
    assert.equal(condition('Pinned')?.reason, 'ContextTooLong');
  });
});

describe('deletion', () => {
  test('of a model drains, stops and frees it, with its revisions', async () => {
    const router = await coldDemo();
    router.demand([{ queued: 1 }]);
    await lab.pass(START_MS + 200);
    const revision = status()?.stableRevision ?? '';
    onlyAgent().setInFlight(revision, 1);
    lab.cluster.drop(kinds.Model, 'demo');
    await lab.pass(1000);
    assert.equal(rungOf(revision), 'Draining');
    assert.deepEqual(router.table().endpoints, []);
    assert.deepEqual(router.table().models, []);
    assert.ok(lab.cluster.get(kinds.Model, 'demo') !== undefined, 'it waits for what is in flight');
    assert.deepEqual([condition('Ready')?.status, condition('Ready')?.reason], ['False', 'Deleting']);
    const waits = new RegExp(`no new request finds it\\. It waits for the slots that hold it: ${onlyAgent().name}\\. `);
    assert.match(condition('Ready')?.message ?? '', waits);
    assert.deepEqual([status()?.awake, status()?.rung], [0, 'Draining']);
    onlyAgent().setInFlight(revision, 0);
    await lab.pass(1500);
    assert.equal(lab.cluster.get(kinds.Model, 'demo'), undefined);
    assert.deepEqual(lab.cluster.list(kinds.ModelRevision), []);
    assert.deepEqual(onlyAgent().instances(), []);
  });

  test('of the revision that answers stops nothing, under a new controller neither, and is done once another answers', async () => {
    const router = await coldDemo({ scaling: { minAwake: 1 } });
    await lab.pass(START_MS + 200);
    const [old = '', id] = [status()?.stableRevision, onlyAgent().instances()[0]?.id];
    const countMade = () => lab.cluster.writes.filter((write) => write.startsWith('create ModelRevision')).length;
    const [made, told] = [countMade(), onlyAgent().targets.length];
    lab.cluster.drop(kinds.ModelRevision, old);
    await lab.pass(31_000);
    assert.deepEqual(
      [
        onlyAgent()
          .instances()
          .map((one) => one.id),
        rungOf(old),
        router.table().endpoints.length,
      ],
      [[id], 'Awake', 1],
    );
    assert.equal(onlyAgent().targets.length, told, 'the slot is told nothing');
    assert.deepEqual([condition('Pinned')?.status, condition('Updated')?.status], ['True', 'True']);
    assert.equal(countMade(), made);
    const events = lab.cluster.events.filter(({ reason }) => reason === 'RevisionInUse');
    assert.deepEqual(
      events.map(({ regarding }) => regarding.metadata.name),
      [old],
    );
    await lab.restart();
    await lab.pass(12_000);
    assert.deepEqual([onlyAgent().instances()[0]?.id, rungOf(old)], [id, 'Awake']);
    lab.weights.set('next.gguf', { sha256: 'b'.repeat(64), sizeBytes: 1, trainedContextLength: 2048 });
    lab.cluster.change(kinds.Model, 'demo', { spec: { version: { weights: { file: { path: 'next.gguf' } } } } });
    await lab.pass(70_000);
    assert.notEqual(status()?.stableRevision, old);
    assert.equal(lab.cluster.get(kinds.ModelRevision, old), undefined);
  });

  test('of the revision that answers does not keep its version from another path', async () => {
    await coldDemo();
    const old = status()?.stableRevision ?? '';
    lab.cluster.drop(kinds.ModelRevision, old);
    const files = lab.weights.get('demo.gguf') ?? assert.fail('it has weights');
    lab.weights.set('moved.gguf', files);
    lab.cluster.change(kinds.Model, 'demo', { spec: { version: { weights: { file: { path: 'moved.gguf' } } } } });
    await lab.pass(1000);
    assert.deepEqual([condition('Pinned')?.status, status()?.stableRevision], ['True', old]);
  });

  test('of a model by force takes its revisions along', async () => {
    await coldDemo();
    lab.cluster.change(kinds.Model, 'demo', { metadata: { finalizers: null } });
    lab.cluster.drop(kinds.Model, 'demo');
    await lab.pass(100);
    assert.equal(lab.cluster.get(kinds.Model, 'demo'), undefined);
    assert.deepEqual(lab.cluster.list(kinds.ModelRevision), []);
  });

  test('of a pool tells slots when routers have let go, and waits for them', async () => {
    const router = await coldDemo();
    router.demand([{ queued: 1 }]);
    await lab.pass(START_MS + 200);
    const agent = onlyAgent();
    router.setAcknowledges(false);
    lab.cluster.drop(kinds.Pool, 'default');
    await lab.pass(1000);
    assert.deepEqual(router.table().endpoints, []);
    assert.equal(agent.withdrawn.length, 0, 'a router has not acknowledged');
    assert.ok(lab.cluster.get(kinds.Pool, 'default') !== undefined);
    await lab.pass(5000);
    assert.equal(agent.withdrawn.length, 1, 'it is not waited for longer than 5 s');
    await lab.pass(2000);
    assert.equal(lab.cluster.get(kinds.Pool, 'default'), undefined);
    assert.equal(condition('Ready')?.reason, 'NoPool');
  });
});

describe('another controller', () => {
  test('keeps what runs, with higher fences, and moves nothing before it knows every slot', async () => {
    const router = await coldDemo();
    router.demand([{ queued: 1 }]);
    await lab.pass(START_MS + 200);
    router.demand([{ inFlight: 1 }]);
    const agent = onlyAgent();
    const id = agent.instances()[0]?.id;
    const endpoints = router.table().endpoints;
    await lab.restart();
    await lab.pass(500);
    assert.deepEqual(router.table().endpoints, endpoints);
    assert.equal(router.table().epoch, 2);
    assert.deepEqual(
      agent.instances().map((one) => [one.id, one.rung]),
      [[id, 'Awake']],
    );
    assert.equal(agent.targets.at(-1)?.epoch, 2);
    const [pod] = lab.cluster.list(kinds.Pod);
    assert.equal(lab.cluster.list(kinds.Pod).length, 1);
    assert.equal(pod?.metadata.uid, agent.podUid);
  });

  test('wakes, but lets nothing sleep, while slots are unknown', async () => {
    const router = await coldDemo({ scaling: { sleepAfterSeconds: 1 } });
    router.demand([{ queued: 1 }]);
    await lab.pass(START_MS + 200);
    router.disconnect();
    await lab.restart();
    router.silence();
    await lab.pass(9000);
    assert.equal(rungOf(status()?.stableRevision), 'Awake');
    lab.cluster.drop(kinds.Model, 'demo');
    await lab.pass(500);
    assert.equal(rungOf(status()?.stableRevision), 'Awake', 'even a deleted model stays until the picture is whole');
    await lab.pass(2000);
    assert.equal(lab.cluster.get(kinds.Model, 'demo'), undefined);
  });
});

describe('one served name', () => {
  test('belongs to the older of two models, and to the other when that one goes', async () => {
    const router = await coldDemo();
    lab.clock.advance(2000);
    lab.model('second', { servedName: 'demo' });
    await lab.pass(200);
    assert.equal(condition('NameTaken', 'second')?.status, 'True');
    assert.match(condition('NameTaken', 'second')?.message ?? '', /Model demo is older/);
    assert.equal(condition('Ready', 'second')?.reason, 'NameTaken');
    assert.deepEqual(
      router.table().models.map(({ model }) => model),
      ['demo'],
    );
    lab.cluster.drop(kinds.Model, 'demo');
    await lab.pass(1500);
    assert.equal(condition('NameTaken', 'second')?.status, 'False');
    assert.deepEqual(
      router.table().models.map(({ model }) => model),
      ['second'],
    );
  });
});

describe('more Models than a table takes', () => {
  test('cut no router off: the youngest is told what to do, and takes the place of one that goes', async () => {
    const router = await coldDemo();
    for (let at = 0; at < 999; at += 1) lab.model(`more-${at}`, { version: upstreamVersion });
    lab.clock.advance(2000);
    lab.model('youngest', { version: upstreamVersion });
    await lab.pass(2000, 50);
    for (const table of router.tables) assert.equal(tableSchema.safeParse(table).success, true);
    assert.equal(router.table().models.length, 1000);
    assert.equal(condition('Ready', 'more-998')?.reason, 'Upstream');
    assert.equal(condition('Ready', 'youngest')?.reason, 'TooManyModels');
    assert.match(condition('Ready', 'youngest')?.message ?? '', /1000 Models, .* Delete one/);
    assert.equal(condition('NameTaken', 'youngest')?.status, 'False');
    lab.cluster.drop(kinds.Model, 'more-0');
    await lab.pass(1500, 50);
    assert.equal(condition('Ready', 'youngest')?.reason, 'Upstream');
    assert.equal(router.table().byServedName.get('youngest')?.model, 'youngest');
  });
});

function adminOf({ controller }: Lab) {
  const get = (url: string, token?: string) =>
    new Promise<{ status: number; body: string }>((resolve) => {
      let code = 0;
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const response = {
        writeHead(status: number) {
          code = status;
        },
        end: (body: Buffer) => resolve({ status: code, body: body.toString('utf8') }),
      };
      controller().handleAdmin({ method: 'GET', url, headers } as never, response as never);
    });
  return { get };
}

describe('the memory of sleepers', () => {
  const rungs = () =>
    onlyAgent()
      .instances()
      .map(({ model, rung }) => `${model} ${rung}`)
      .sort();
  const wakeBoth = async (sleeperBytes: number) => {
    lab.pool('default', { slots: { min: 1, max: 1 }, sleeperBytes });
    for (const name of ['demo', 'other']) lab.model(name, { scaling: { sleepAfterSeconds: 5 } });
    const router = lab.router();
    for (const model of ['demo', 'other']) {
      router.demand([{ model, queued: 1 }]);
      await lab.pass(START_MS + 3000);
      router.demand([]);
      await lab.pass(8000);
    }
    return rungs();
  };

  test('lets two sleep where there is room for both', async () => {
    assert.deepEqual(await wakeBoth(2 * 1024 ** 3), ['demo Asleep', 'other Asleep']);
  });

  test('lets only the later one sleep where there is room for one', async () => {
    assert.deepEqual(await wakeBoth(600 * 1024 ** 2), ['other Asleep']);
  });
});
