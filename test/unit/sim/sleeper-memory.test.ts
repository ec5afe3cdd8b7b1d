// Sizes of sleepers for the planner of copies: of models as their profile says, and of what only occupies slots.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listCopies, planCopy } from '../../../src/core/plan/pool/copies.ts';
import { modelProfiles } from '../../../src/sim/profile.ts';
import { createScenario } from '../../../src/sim/setup.ts';
import { readSleeperMemory, weighModels } from '../../../src/sim/sleeper-memory.ts';
import { simSetup, simTrace } from '../../support/simulation.ts';

const { asleepBytes } = modelProfiles.Size7B;
const scenario = (sleeperBytes?: number) =>
  createScenario(
    simTrace([[0, 10, 1, 'a']]),
    simSetup({ profile: 'Size7B', ...(sleeperBytes === undefined ? {} : { sleeperBytes }) }),
  );

test('without a budget nothing is weighed', () => {
  assert.equal(readSleeperMemory(scenario()), undefined);
});

test('a copy takes the place of what only occupies a slot, and none of that is made', () => {
  const bytesMax = 1.5 * asleepBytes;
  const memory = readSleeperMemory(scenario(bytesMax));
  assert.ok(memory !== undefined);
  const filler = { model: 'other', revision: 'other', rung: 'Asleep' as const };
  const view = {
    podUid: 's',
    name: 's',
    pool: 'p',
    isUsable: true,
    isLeaving: false,
    instances: [],
    assigned: [filler],
  };
  const known = new Map([['a', { name: 'a', usesPerMs: 1e-5, startMs: 45_000, blockedMs: 9000 }]]);
  const models = weighModels(known, [view], memory);
  assert.deepEqual(
    [...models.values()].map((model) => [model.name, model.asleepBytes]),
    [
      ['other', asleepBytes],
      ['a', asleepBytes],
    ],
  );
  const slot = { name: 's', models: ['other'], isFree: true, sleepersMax: 8, sleeperBytesMax: bytesMax };
  const empty = { ...slot, name: 'empty', models: ['a'] };
  const copies = listCopies({ models, slots: [slot, empty], takenShare: () => 0.5 });
  assert.equal(planCopy(copies, [slot])?.instead, 'other');
  assert.equal(planCopy(copies, [empty]), undefined);
});
