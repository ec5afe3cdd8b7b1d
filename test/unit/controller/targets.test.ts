import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Target, targetSchema } from '../../../src/api/link.ts';
import { createFleet } from '../../../src/controller/fleet.ts';
import type { World } from '../../../src/controller/observe.ts';
import { createTeller } from '../../../src/controller/targets.ts';
import { createManualClock } from '../../../src/lib/clock.ts';
import { agentHello } from '../../support/link-messages.ts';
import { assign } from '../../support/placement.ts';
import { model, pool, revision } from '../../support/plain-objects.ts';

test('a target for more instances than an agent takes leaves out what only failed in the slot', () => {
  const fleet = createFleet(createManualClock());
  const targets: Target[] = [];
  const hello = agentHello('slot');
  fleet.openAgent({
    ...{ id: 'session', role: 'agent', identity: { username: 'slot' }, hello },
    close: () => {},
    send: (message) => message.type === 'target' && targets.push(message) > 0,
  });
  const record = fleet.agents.get(hello.podUid);
  assert.ok(record !== undefined);
  const failed = Array.from({ length: 200 }, (_, at) => assign(`failed${at}-1`, 'Staged'));
  record.assigned = [...failed, assign('demo-1', 'Awake')];
  const tell = createTeller({
    cluster: { get: () => model({ serving: { concurrency: 1, drainSeconds: 1, sleep: 'Auto' } }) } as never,
    ...{ fleet, engineBuilds: { Llama: 'builtin:1', Sim: 'builtin:1' }, weightsFolder: '/weights' },
    keys: { accepted: () => [] },
    nextFence: () => ({ epoch: 1, seq: 1 }),
  });
  const revisions = new Map(record.assigned.map(({ revision: name }) => [name, revision({}, name)]));
  const slots = [{ podUid: hello.podUid, pool: 'default', isUsable: true }];
  const pools = new Map([
    ['default', pool({ accelerator: { className: 'cpu', countPerSlot: 1 }, maxDrainSeconds: 1 })],
  ]);
  assert.equal(tell({ slots, revisions, pools } as unknown as World), 1);
  const told = targetSchema.parse(targets[0]);
  assert.equal(told.instances.length, 128);
  assert.equal(told.instances[0]?.revision, 'demo-1');
});
