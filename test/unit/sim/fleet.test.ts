// What a policy may know of the simulated slots.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEventQueue } from '../../../src/sim/event-queue.ts';
import { createFleet } from '../../../src/sim/fleet.ts';
import { createScenario } from '../../../src/sim/setup.ts';
import { simSetup, simTrace } from '../../support/simulation.ts';

test('who waits asleep for its slot is on its way from there, wherever its last climb began', () => {
  const trace = simTrace([
    [0, 10, 10, 'a'],
    [1, 10, 10, 'b'],
  ]);
  const scenario = createScenario(trace, simSetup({ slots: 1, isCold: true }));
  const events = createEventQueue();
  const ignore = () => {};
  const fleet = createFleet(scenario, events, {
    onReady: ignore,
    onLost: ignore,
    onDone: ignore,
    onStep: ignore,
    onRung: ignore,
    onClimbed: ignore,
    onFailed: ignore,
    onFirstToken: ignore,
  });
  const [slot] = fleet.slots;
  assert.ok(slot);
  const assign = (awake: string, asleep: string) =>
    slot.assign([
      { model: awake, revision: awake, rung: 'Awake' },
      { model: asleep, revision: asleep, rung: 'Asleep' },
    ]);
  slot.assign([{ model: 'a', revision: 'a', rung: 'Awake' }]);
  assert.deepEqual(fleet.readModel('a').pending, [{ from: 'Staged', ageMs: 0 }]);
  while (events.next());
  assign('b', 'a');
  while (events.next());
  assert.equal(slot.instances.get('a')?.from, 'Staged');
  assign('a', 'b');
  assert.equal(slot.instances.get('b')?.rung, 'Sleeping');
  assert.deepEqual(fleet.readModel('a').pending, [{ from: 'Asleep', ageMs: 0 }]);
});
