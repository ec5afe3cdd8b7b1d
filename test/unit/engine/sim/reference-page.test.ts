// The page of the simulated engine says what the engine does: every fault, every profile's figures, and an example that is valid.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseManifest } from '../../../../src/api/manifest.ts';
import { simulatedProfileNames, simulatedSizes } from '../../../../src/api/simulated-weights.ts';
import { faultKinds } from '../../../../src/api/simulation.ts';
import { type FaultEvent, faultsAt } from '../../../../src/engine/sim/faults.ts';
import { simulatedProfiles } from '../../../../src/engine/sim/profile.ts';

const page = readFileSync(new URL('../../../../docs/reference/simulated-engine.md', import.meta.url), 'utf8');
const rowOf = (name: string) => page.split('\n').find((line) => line.startsWith(`| \`${name}\` |`)) ?? '';

test('every fault has a row with the events that it strikes at', () => {
  const events = Object.keys(faultsAt) as FaultEvent[];
  for (const kind of faultKinds) {
    const at = events.filter((event) => (faultsAt[event] as readonly string[]).includes(kind));
    assert.equal(rowOf(kind).split('|')[2]?.trim(), at.join(', '), kind);
  }
});

test('every profile has a row with its figures', () => {
  for (const name of simulatedProfileNames) {
    const { loadMs, wakeLevel1Ms, wakeLevel2Ms, sleepMs, ...step } = simulatedProfiles[name];
    const { weightsBytes, residueBytes } = simulatedSizes[name];
    const cells = rowOf(name).split('|').slice(2, -1);
    const seconds = [loadMs, wakeLevel1Ms, wakeLevel2Ms, sleepMs].map((ms) => `${ms / 1000} s`);
    const perStep = `${step.stepMs} ms + ${step.perSequenceMs} ms a request + ${step.perPromptTokenMs} ms a prompt token`;
    const sizes = [weightsBytes, residueBytes].map((bytes) => `${bytes / 1e9} GB`);
    assert.deepEqual(
      cells.map((cell) => cell.trim()),
      [...seconds, perStep, ...sizes],
    );
  }
});

test('the example is a valid model', () => {
  const example = /```yaml\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
  const { objects, errors } = parseManifest(example, 'example.yaml');
  assert.deepEqual(errors, []);
  assert.equal(objects.length, 1);
});
