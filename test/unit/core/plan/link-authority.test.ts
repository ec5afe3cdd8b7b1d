import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planAuthority, TRUST_BEFORE_USE_MS } from '../../../../src/core/plan/link-authority.ts';

const life = { fromMs: 0, untilMs: 1000 * TRUST_BEFORE_USE_MS };
const at = (share: number) => share * life.untilMs;

test('one that has a fifth of its life left gets a successor, which is trusted for a day before it signs', () => {
  assert.equal(planAuthority(life, undefined, at(0.79)), 'Keep');
  assert.equal(planAuthority(life, undefined, at(0.81)), 'MakeNext');
  const next = { fromMs: at(0.81), untilMs: at(1.81) };
  assert.equal(planAuthority(life, next, at(0.81)), 'Keep');
  assert.equal(planAuthority(life, next, at(0.81) + TRUST_BEFORE_USE_MS - 1), 'Keep');
  assert.equal(planAuthority(life, next, at(0.81) + TRUST_BEFORE_USE_MS), 'UseNext');
});

test('one that is not there or is over is replaced at once, by its successor when there is one', () => {
  assert.equal(planAuthority(undefined, undefined, 0), 'MakeFirst');
  assert.equal(planAuthority(undefined, life, 0), 'UseNext');
  assert.equal(planAuthority(life, undefined, life.untilMs), 'MakeFirst');
  assert.equal(planAuthority(life, { fromMs: 0, untilMs: 2 * life.untilMs }, life.untilMs), 'UseNext');
});
