// Claims that keep a Pod from every node: the sentences of real schedulers, and what is said of them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Pod } from '../../../../src/api/kinds.ts';
import { poolSpecSchema } from '../../../../src/api/pool.ts';
import { compileCacheVolume } from '../../../../src/controller/compile-cache-volume.ts';
import { weightVolumes } from '../../../../src/controller/weight-volumes.ts';
import { findClaimTrouble } from '../../../../src/core/plan/claim-trouble.ts';
import { findTrouble } from '../../../../src/core/plan/slot-trouble.ts';
import { findStagerTrouble } from '../../../../src/core/plan/stager-trouble.ts';
import { ageAt } from '../../../support/pod-age.ts';

const end = 'preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.';
const nodes = (what: string) => `0/3 nodes are available: ${what}. ${end}`;
const unschedulable = (message: string): NonNullable<Pod['status']> => ({
  phase: 'Pending',
  conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }],
});

/** With the volumes that a Pod of such a Pool has. */
function pod(spec: object, message: string): Pod {
  const pool = { apiVersion: 'v1', kind: 'Pool', metadata: { name: 'p' }, spec: poolSpecSchema.parse(spec) } as const;
  const volumes = [...weightVolumes(pool, {}).volumes, ...compileCacheVolume(pool, {}).volumes];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'gpus-1', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: {
      containers: [{ name: 'agent', image: 'i', resources: { limits: { 'nvidia.com/gpu': '1' } } }],
      volumes,
    },
    status: unschedulable(message),
  };
}

const models = { weights: { claimName: 'models' } };
const both = { ...models, compileCache: { claimName: 'kernels' } };

const table: readonly (readonly [string, object, string, string, RegExp])[] = [
  [
    'a claim that is not there',
    both,
    nodes('persistentvolumeclaim "kernels" not found'),
    'ClaimMissing',
    /^Slot gpus-1: no node takes it \(0\/3 .*\)\. Make the claim kernels, or name another one in spec\.compileCache\.claimName of the Pool\.$/,
  ],
  [
    'one claim for both that is not there',
    { ...models, compileCache: { claimName: 'models' } },
    nodes('persistentvolumeclaim "models" not found'),
    'ClaimMissing',
    /in spec\.weights\.claimName and spec\.compileCache\.claimName of the Pool\.$/,
  ],
  [
    'a claim that is being deleted',
    models,
    nodes('persistentvolumeclaim "models" is being deleted'),
    'ClaimMissing',
    /The claim models is being deleted: make it anew, or name another one in spec\.weights\.claimName/,
  ],
  [
    'a claim without a volume',
    both,
    nodes('pod has unbound immediate PersistentVolumeClaims'),
    'ClaimUnusable',
    /The claim models \(spec\.weights\.claimName of the Pool\) or kernels \(spec\.compileCache\.claimName of the Pool\) has no volume: kubectl describe pvc models kernels says why\.$/,
  ],
  [
    'a claim whose volume is gone',
    models,
    nodes('3 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)'),
    'ClaimUnusable',
    /has no volume/,
  ],
  [
    'a claim that finds no volume',
    models,
    nodes("3 node(s) didn't find available persistent volumes to bind"),
    'ClaimUnusable',
    /has no volume/,
  ],
  ...['volume node affinity conflict', 'no available volume zone'].map(
    (what) =>
      [
        `a volume on other nodes: ${what}`,
        models,
        nodes(`1 node(s) had untolerated taint {a: b}, 2 node(s) had ${what}`),
        'ClaimUnusable',
        /The volume of the claim models \(spec\.weights\.claimName of the Pool\) is not to be had on any node .*spec\.pod/,
      ] as const,
  ),
  [
    'a volume on other nodes, in newer words',
    models,
    nodes("3 node(s) didn't match PersistentVolume's node affinity"),
    'ClaimUnusable',
    /is not to be had on any node/,
  ],
  [
    'a volume on a node that is full',
    models,
    nodes("1 Insufficient nvidia.com/gpu, 2 node(s) didn't match PersistentVolume's node affinity"),
    'Unschedulable',
    /Add nodes with nvidia\.com\/gpu free.* Only nodes count that can use the volume of the claim models \(spec\.weights/,
  ],
  [
    'a claim of somebody else',
    models,
    nodes('persistentvolumeclaim "other" not found'),
    'Unschedulable',
    /Add nodes with nvidia\.com\/gpu free, free some, or look at nodeSelector and tolerations of the Pool\.$/,
  ],
];

describe('a slot that no node takes', () => {
  for (const [name, spec, said, reason, message] of table) {
    test(name, () => {
      const trouble = findTrouble(pod(spec, said));
      assert.equal(trouble?.reason, reason);
      assert.match(trouble.message, message);
    });
  }

  test('without a claim it is not about one', () => {
    assert.equal(findClaimTrouble(pod({}, ''), 'pod has unbound immediate PersistentVolumeClaims'), undefined);
  });
});

describe('a stager that no node takes', () => {
  const madeMs = Date.parse('2026-01-01T00:00:00Z');
  const missing = pod(models, nodes('persistentvolumeclaim "models" not found'));
  const unbound = pod(models, nodes('pod has unbound immediate PersistentVolumeClaims'));

  test('says that its claim is missing once both could have been made', () => {
    assert.equal(findStagerTrouble(missing, ageAt(madeMs + 9000)), undefined);
    assert.equal(findStagerTrouble(missing, ageAt(madeMs + 10_000))?.reason, 'ClaimMissing');
  });

  test('counts as on its way while a volume may still be made for its claim, and says what it waits for', () => {
    const early = findStagerTrouble(unbound, ageAt(madeMs + 299_000));
    assert.equal(early?.reason, 'Unschedulable');
    assert.match(early.message, /^The stager gpus-1: .*The claim models .* has no volume/);
    assert.equal(findStagerTrouble(unbound, ageAt(madeMs + 300_000))?.reason, 'ClaimUnusable');
  });
});
