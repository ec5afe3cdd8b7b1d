// What a Model's Ready promises: a request finds the model. On a manual clock, with agents and routers in memory.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { kinds } from '../../src/api/kinds.ts';
import type { ModelStatus } from '../../src/api/model.ts';
import { createLab, type Lab } from '../support/controller-lab.ts';
import { START_MS } from '../support/lab-agent.ts';

let lab: Lab;
beforeEach(async () => {
  lab = await createLab();
});
afterEach(async () => {
  await lab.stop();
  assert.equal(lab.clock.pendingTimers(), 0, 'no timer is left');
});

/** Sees the status of the Model whenever it was written. */
function watchStatus(look: (status: ModelStatus) => void): void {
  const { patchStatus } = lab.cluster;
  const watched: typeof patchStatus = async (kind, name, status, options) => {
    const written = await patchStatus(kind, name, status, options);
    if (kind.kind === 'Model') look(lab.cluster.must(kinds.Model, name).status ?? assert.fail('it has a status'));
    return written;
  };
  Object.assign(lab.cluster, { patchStatus: watched });
}

const readyIn = ({ conditions = [] }: ModelStatus) => conditions.find(({ type }) => type === 'Ready');

describe('Ready', () => {
  test('is said of a new Model when routers know it, and not before', async () => {
    lab.pool('default', { slots: { min: 1, max: 1 } });
    const router = lab.router();
    router.demand([]);
    await lab.pass(1000);
    const said: (string | undefined)[] = [];
    watchStatus((status) => {
      const ready = readyIn(status);
      said.push(ready?.reason);
      const isKnown = router.table().models.some(({ servedName }) => servedName === 'demo');
      if (ready?.status === 'True') assert.ok(isKnown, `${ready.reason}, and routers do not know it`);
    });
    lab.model('demo');
    await lab.pass(1000);
    assert.ok(said.includes('Unplanned') && said.at(-1) === 'Cold', said.join());
    assert.ok(!lab.cluster.events.some(({ reason }) => reason === 'Unplanned'), 'it is no news');
  });

  test('and the rung of a model that is awake stay as they were while a new controller has not planned', async () => {
    lab.pool('default', { slots: { min: 1, max: 1 } });
    lab.model('demo', { scaling: { minAwake: 1 } });
    lab.router().demand([]);
    await lab.pass(START_MS + 1000);
    assert.equal(lab.cluster.must(kinds.Model, 'demo').status?.rung, 'Awake');
    const said = new Set<string>();
    watchStatus((status) => said.add(`${readyIn(status)?.reason} ${status.rung} ${status.awake}`));
    await lab.restart();
    lab.cluster.change(kinds.Model, 'demo', { metadata: { annotations: { looked: 'again' } } });
    lab.cluster.change(kinds.Model, 'demo', { spec: { scaling: { sleepAfterSeconds: 77 } } });
    await lab.pass(2000);
    assert.deepEqual(
      [...said].filter((one) => !one.startsWith('Awake Awake 1')),
      [],
    );
    assert.ok(said.size > 0, 'it was written');
  });
});
