// A stager that does not start: whose words are used, and that a young one is left alone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../../../../src/api/kinds.ts';
import { findStagerTrouble } from '../../../../src/core/plan/stager-trouble.ts';
import { ageAt } from '../../../support/pod-age.ts';

const madeMs = Date.parse('2026-01-01T00:00:00Z');
const pod = (status: Pod['status']): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'tiny-stage', creationTimestamp: '2026-01-01T00:00:00Z' },
  spec: { containers: [] },
  ...(status === undefined ? {} : { status }),
});
/** As the node lifecycle controller leaves it, a minute after it was made. */
const lost = {
  phase: 'Running',
  conditions: [{ type: 'Ready', status: 'False', lastTransitionTime: '2026-01-01T00:01:00Z' }],
  containerStatuses: [{ name: 'stager', ready: true, restartCount: 0, state: { running: {} } }],
} as const;
const trouble = (status: Pod['status'], ageMs = 0) => findStagerTrouble(pod(status), ageAt(madeMs + ageMs));

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

test('one that runs where nobody answers is said after a minute, with what to do', () => {
  assert.equal(trouble(lost, 119_000), undefined);
  const found = trouble(lost, 120_000);
  assert.equal(found?.reason, 'NodeLost');
  assert.match(
    found.message,
    /^The stager tiny-stage cannot be asked or ended: its node does not answer\. .*kubectl delete/,
  );
  const unready = [{ type: 'Ready', status: 'False', reason: 'ContainersNotReady' }];
  assert.equal(trouble({ ...lost, conditions: unready }, 900_000), undefined);
});

test('one that is deleted is said when it is there long after its grace, and not before', () => {
  const { metadata, ...rest } = pod({ phase: 'Running' });
  const leaving = { ...rest, metadata: { ...metadata, deletionTimestamp: '2026-01-01T00:00:05Z' } };
  assert.equal(findStagerTrouble(leaving, ageAt(madeMs + 64_000)), undefined);
  assert.equal(findStagerTrouble(leaving, ageAt(madeMs + 65_000))?.reason, 'NodeLost');
  const pending: Pod = { ...leaving, status: { phase: 'Pending' } };
  assert.equal(
    findStagerTrouble(pending, ageAt(madeMs + 64_000)),
    undefined,
    'that it never started is no news any more',
  );
});
