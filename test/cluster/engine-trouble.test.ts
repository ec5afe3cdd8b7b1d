// An engine that dies at every start, in real agents on a real API server: the Model says so with what to do, an Event says it,
// starts come more and more slowly, callers are told at once, and the server gets few writes.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { delay, systemClock } from '../../src/lib/clock.ts';
import type { ControlPlane } from '../support/cluster/control-plane.ts';
import { type Lab, startLab } from '../support/cluster/lab.ts';
import { askStream, simulatedModel, simulatedPool } from '../support/cluster/questions.ts';
import { type Json, joinCluster, startTestPlane } from '../support/cluster/test-cluster.ts';

const WATCHED_MS = 15_000;
/** The first tries come after up to 1, 2, 4 and 8 s, each of some six writes. A loop would make thousands. */
const WRITES_PER_MINUTE_MAX = 300;

describe('an engine that cannot start', { timeout: 180_000 }, () => {
  let plane: ControlPlane;
  let lab: Lab;
  let openai: string;
  before(async () => {
    plane = await startTestPlane();
    lab = await startLab(await joinCluster(plane.kubeconfig, () => plane.stop()));
    await lab.startController('one').ready;
    await lab.create('pools', simulatedPool('sim', { min: 1, max: 1 }));
    openai = await lab.startRouter();
  });
  after(async () => {
    await lab.stop();
    await lab.cluster.close();
  });

  /** By verb and resource. */
  async function writes(): Promise<ReadonlyMap<string, number>> {
    const { body } = await lab.cluster.client.send({ method: 'GET', path: '/metrics' });
    const counts = new Map<string, number>();
    for (const [, labels = '', value] of String(body).matchAll(/^apiserver_request_total\{([^}]*)\} (\d+)$/gm)) {
      const label = (name: string) => new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(labels)?.[1] ?? '';
      const isOurs = ['pods', 'pools', 'models', 'modelrevisions', 'events'].includes(label('resource'));
      if (!isOurs || !/^(POST|PUT|PATCH|DELETE)$/.test(label('verb'))) continue;
      const key = `${label('verb')} ${label('resource')}/${label('subresource')}`;
      counts.set(key, (counts.get(key) ?? 0) + Number(value));
    }
    return counts;
  }

  const readiness = async () =>
    (await lab.get('models', 'broken')).status?.conditions?.find(({ type }: Json) => type === 'Ready');

  test('is told, tried again more and more slowly, and burns nothing', async (t) => {
    const faults = [{ kind: 'FailedStart', chanceBasisPoints: 10_000 }];
    const simulation = { speedPercent: 10_000, faults };
    await lab.create('models', simulatedModel('broken', 'sim', { scaling: { minAwake: 1 }, simulation }));
    await lab.until(async () => (await readiness())?.reason === 'LoadFailed', 'the Model to say so');
    const { status, message } = await readiness();
    assert.equal(status, 'False');
    assert.notEqual(message, '');
    const isTold = async () =>
      (await lab.list('events')).some(
        ({ reason, type, involvedObject }) =>
          reason === 'LoadFailed' && type === 'Warning' && involvedObject.name === 'broken',
      );
    await lab.until(isTold, 'an Event');
    const before = await writes();
    await delay(systemClock, WATCHED_MS);
    const rows = [...(await writes())].map(([key, count]) => ({ key, count: count - (before.get(key) ?? 0) }));
    const perMinute = rows.reduce((sum, { count }) => sum + count, 0) * (60_000 / WATCHED_MS);
    const told = rows.filter(({ count }) => count > 0).map(({ key, count }) => `${count} ${key}`);
    t.diagnostic(`${perMinute} writes a minute (${told.join(', ')} in ${WATCHED_MS} ms); it says: ${message}`);
    assert.ok(perMinute <= WRITES_PER_MINUTE_MAX, `${perMinute} writes a minute`);
    assert.equal((await lab.list('pods')).length, 1, 'the slot stays');
    const { raw, status: code } = await askStream(openai, 'broken');
    assert.match(raw, /model_failed|model_warming/);
    assert.ok(code === 503 || code === 200, String(code));
  });

  test('works once it is mended', async () => {
    await lab.patch('models', 'broken', { spec: { simulation: { speedPercent: 10_000, faults: null } } });
    await lab.until(async () => (await readiness())?.reason === 'Awake', 'the Model to be awake', 90_000);
    assert.match((await askStream(openai, 'broken')).raw, /data: \[DONE\]/);
  });
});
