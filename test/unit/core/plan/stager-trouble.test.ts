// A stager that does not start: whose words are used, and that a young one is left alone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../../../../src/api/kinds.ts';
import { findStagerTrouble } from '../../../../src/core/plan/stager-trouble.ts';

const madeMs = Date.parse('2026-01-01T00:00:00Z');
const pod = (status: Pod['status']): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'tiny-stage', creationTimestamp: '2026-01-01T00:00:00Z' },
  spec: { containers: [] },
  ...(status === undefined ? {} : { status }),
});
const trouble = (status: Pod['status'], ageMs = 0) => findStagerTrouble(pod(status), madeMs + ageMs);

test('a young one is left alone, and so is one that runs or has ended', () => {
  assert.equal(trouble(undefined), undefined);
  assert.equal(trouble({ phase: 'Pending' }, 59_000), undefined);
  for (const phase of ['Running', 'Succeeded', 'Failed'] as const) assert.equal(trouble({ phase }, 600_000), undefined);
});

test('one that no node takes for a while, or whose image does not come, is said', () => {
  const scheduled = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/1 nodes' };
  assert.equal(trouble({ phase: 'Pending', conditions: [scheduled] }, 9000), undefined);
  const unplaced = trouble({ phase: 'Pending', conditions: [scheduled] }, 10_000);
  assert.equal(unplaced?.reason, 'Unschedulable');
  assert.match(unplaced.message, /^The stager tiny-stage: no node takes it \(0\/1 nodes\)/);
  const state = { waiting: { reason: 'ImagePullBackOff', message: 'no such image' } };
  const containerStatuses = [{ name: 'stager', ready: false, restartCount: 0, state }];
  assert.equal(trouble({ phase: 'Pending', containerStatuses })?.reason, 'ImagePullFailed');
});

test('one that waits for its volume says after a minute what it may be', () => {
  const found = trouble({ phase: 'Pending' }, 60_000);
  assert.equal(found?.reason, 'NotStarted');
  assert.match(found.message, /folder of spec\.weights\.hostPath that is missing.*kubectl describe pod tiny-stage/);
});
