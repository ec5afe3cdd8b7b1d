// The age of what the controller says of a model: tables that come for other reasons must not make it young again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelWarmth, Table } from '../../../src/api/link.ts';
import { createManualClock } from '../../../src/lib/clock.ts';
import { createTableKeeper } from '../../../src/router/link/table-keeper.ts';

function tableOf(seq: number, warmth: readonly ModelWarmth[]): Table {
  const data = { endpoints: [], warmth: [...warmth] };
  return { type: 'table', epoch: 1, seq, endpoints: { version: seq, hash: `${seq}`, data } };
}

test('what is repeated is as old as before; what is new, or was gone, is new', () => {
  const clock = createManualClock();
  const keeper = createTableKeeper(clock, () => {});
  const starting = { model: 'a', rung: 'Starting', etaMs: 4000 } as const;
  const other = { model: 'b', rung: 'Asleep', etaMs: 900 } as const;
  keeper.apply(tableOf(1, [starting]));
  clock.advance(3000);
  keeper.apply(tableOf(2, [starting, other]));
  clock.advance(500);
  assert.equal(keeper.warmthAgeMs('a'), 3500);
  assert.equal(keeper.warmthAgeMs('b'), 500);
  keeper.apply(tableOf(3, [{ ...starting, rung: 'Failed' }]));
  assert.equal(keeper.warmthAgeMs('a'), 0);
  assert.equal(keeper.warmthAgeMs('b'), 0);
});
