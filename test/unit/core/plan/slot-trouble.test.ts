import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Pod } from '../../../../src/api/kinds.ts';
import { findDeparture, findTrouble } from '../../../../src/core/plan/slot-trouble.ts';

type Container = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number];

function pod(status: Pod['status']): Pod {
  const resources = { limits: { 'nvidia.com/gpu': '2', memory: '1' } };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'gpus-1' },
    spec: { containers: [{ name: 'agent', image: 'i', resources }], nodeName: 'node-a' },
    ...(status === undefined ? {} : { status }),
  };
}

const container = (parts: Partial<Container>): Container => ({
  name: 'agent',
  ready: false,
  restartCount: 0,
  ...parts,
});
const waiting = (reason: string, message = '') => container({ state: { waiting: { reason, message } } });
const checking = (state: object, terminated?: object): Container =>
  container({ name: 'check-image', state, ...(terminated === undefined ? {} : { lastState: { terminated } }) });
const condition = (type: string, status: string, reason: string, message = '') => ({ type, status, reason, message });

const table: readonly (readonly [string, Pod['status'], string | undefined, RegExp])[] = [
  ['a Pod without a status', undefined, undefined, /^$/],
  ['a young Pod', { phase: 'Pending', conditions: [] }, undefined, /^$/],
  [
    'a Pod whose container is being made',
    { phase: 'Pending', containerStatuses: [waiting('ContainerCreating')] },
    undefined,
    /^$/,
  ],
  [
    'no room',
    {
      phase: 'Pending',
      conditions: [condition('PodScheduled', 'False', 'Unschedulable', '0/3 nodes: 3 Insufficient nvidia.com/gpu.')],
    },
    'Unschedulable',
    /no node takes it \(0\/3 nodes: 3 Insufficient nvidia.com\/gpu\.\)\. Add nodes with nvidia\.com\/gpu free/,
  ],
  ['gated', { phase: 'Pending', conditions: [condition('PodScheduled', 'False', 'SchedulingGated')] }, undefined, /^$/],
  [
    'a pull that fails',
    { phase: 'Pending', containerStatuses: [waiting('ErrImagePull', 'not found')] },
    'ImagePullFailed',
    /ErrImagePull: not found.*imagePullSecrets/,
  ],
  [
    'a pull that is tried again',
    { phase: 'Pending', containerStatuses: [waiting('ImagePullBackOff')] },
    'ImagePullFailed',
    /ImagePullBackOff/,
  ],
  [
    "an engine's image that is not to be had",
    { phase: 'Pending', initContainerStatuses: [checking({ waiting: { reason: 'ErrImagePull' } })] },
    'ImagePullFailed',
    /ErrImagePull.*spec\.version\.engine\.image of the Model/,
  ],
  [
    "an engine's image that does not run the agent",
    {
      phase: 'Pending',
      initContainerStatuses: [
        checking({ waiting: { reason: 'CrashLoopBackOff' } }, { exitCode: 1, reason: 'Error', message: 'needs glibc' }),
      ],
    },
    'ImageUnusable',
    /does not run the agent \(needs glibc\)\. .*change spec\.version\.engine\.image/,
  ],
  [
    "an engine's image without a shell",
    {
      phase: 'Pending',
      initContainerStatuses: [checking({ terminated: { exitCode: 128, reason: 'StartError' } })],
    },
    'ImageUnusable',
    /\(StartError\)\. It needs \/bin\/sh/,
  ],
  [
    "an engine's image that was tried and is good",
    {
      phase: 'Pending',
      initContainerStatuses: [
        {
          ...checking({ terminated: { exitCode: 0, reason: 'Completed' } }, { exitCode: 1, reason: 'Error' }),
          ready: true,
        },
      ],
      containerStatuses: [waiting('PodInitializing')],
    },
    undefined,
    /^$/,
  ],
  [
    'an image that must be there',
    { phase: 'Pending', containerStatuses: [waiting('ErrImageNeverPull')] },
    'ImagePullFailed',
    /ErrImageNeverPull/,
  ],
  [
    'a missing Secret',
    { phase: 'Pending', containerStatuses: [waiting('CreateContainerConfigError', 'secret "x" not found')] },
    'ContainerNotCreated',
    /secret "x" not found/,
  ],
  [
    'a crash loop',
    {
      phase: 'Running',
      containerStatuses: [
        container({
          restartCount: 4,
          state: { waiting: { reason: 'CrashLoopBackOff' } },
          lastState: {
            terminated: {
              reason: 'Error',
              exitCode: 3,
              message: '{"level":30}\nstoker agent: Port 8000 is already in use.\n',
            },
          },
        }),
      ],
    },
    'AgentCrashing',
    /ended 4 times, the last time with exit code 3 \(stoker agent: Port 8000 is already in use\.\)/,
  ],
  [
    'killed for memory',
    {
      phase: 'Running',
      containerStatuses: [
        container({
          restartCount: 1,
          state: { waiting: { reason: 'CrashLoopBackOff' } },
          lastState: { terminated: { reason: 'OOMKilled', exitCode: 137 } },
        }),
      ],
    },
    'OutOfMemory',
    /memoryBytes/,
  ],
  [
    'killed for memory once, and well again',
    {
      phase: 'Running',
      conditions: [condition('Ready', 'True', '')],
      containerStatuses: [
        container({
          ready: true,
          restartCount: 1,
          state: { running: {} },
          lastState: { terminated: { reason: 'OOMKilled' } },
        }),
      ],
    },
    undefined,
    /^$/,
  ],
  [
    'evicted by the node',
    { phase: 'Failed', reason: 'Evicted', message: 'The node was low on resource: memory.' },
    'Evicted',
    /low on resource: memory.*ran short/,
  ],
  [
    'evicted by a drain',
    { phase: 'Running', conditions: [condition('DisruptionTarget', 'True', 'EvictionByEvictionAPI')] },
    'Evicted',
    /drained/,
  ],
  [
    'preempted',
    { phase: 'Running', conditions: [condition('DisruptionTarget', 'True', 'PreemptionByScheduler', 'higher')] },
    'Preempted',
    /higher priority.*priorityClassName/,
  ],
  [
    'preempted by the kubelet',
    { phase: 'Failed', reason: 'Preempting', message: 'Preempted in order to admit critical pod' },
    'Preempted',
    /critical pod.*priorityClassName/,
  ],
  [
    'a full disk of the node',
    { phase: 'Failed', reason: 'Evicted', message: 'The node was low on resource: ephemeral-storage.' },
    'DiskFull',
    /short of disk.*free the disk/,
  ],
  [
    'more disk than a Pod may use',
    { phase: 'Failed', reason: 'Evicted', message: 'Usage of EmptyDir volume "tmp" exceeds the limit "1Gi".' },
    'DiskFull',
    /EmptyDir volume/,
  ],
  [
    'an init container that fails without a word',
    {
      phase: 'Pending',
      initContainerStatuses: [
        container({ name: 'carry-agent', state: { terminated: { exitCode: 2, reason: 'Error' } } }),
      ],
    },
    'InitFailed',
    /carry-agent ended with exit code 2 \(Error\).*kubectl logs gpus-1 -c carry-agent/,
  ],
  [
    'an init container whose image is not to be had',
    { phase: 'Pending', initContainerStatuses: [waiting('ImagePullBackOff', 'no such manifest')] },
    'ImagePullFailed',
    /no such manifest/,
  ],
  [
    'a node that shuts down',
    { phase: 'Failed', reason: 'Terminated', message: 'Pod was terminated in response to imminent node shutdown.' },
    'Evicted',
    /shut down/,
  ],
  [
    'a node that is lost',
    { phase: 'Running', conditions: [condition('Ready', 'False', 'NodeNotReady')] },
    'NodeLost',
    /node-a does not answer/,
  ],
  [
    'a node that refuses',
    { phase: 'Failed', reason: 'UnexpectedAdmissionError', message: 'Allocate failed' },
    'Refused',
    /device plugin/,
  ],
  [
    'a node without room after all',
    { phase: 'Failed', reason: 'OutOfnvidia.com/gpu', message: 'Node did not have enough' },
    'Refused',
    /OutOfnvidia/,
  ],
  ['an end', { phase: 'Failed' }, 'Ended', /its Pod ended\. A new one/],
  [
    'a local node that says why',
    { phase: 'Pending', message: 'The Pod does not fit.' },
    'NotStarted',
    /^Slot gpus-1: The Pod does not fit\.$/,
  ],
];

describe('why a slot that is deleted goes', () => {
  test('preemption and a lost node are told; how it ends, and that a person deleted it, are not', () => {
    const preempted = { conditions: [condition('DisruptionTarget', 'True', 'PreemptionByScheduler', 'higher')] };
    assert.equal(findDeparture(pod(preempted))?.reason, 'Preempted');
    const lost = { conditions: [condition('Ready', 'False', 'NodeNotReady')] };
    assert.match(findDeparture(pod(lost))?.message ?? '', /^Slot gpus-1: its node node-a does not answer/);
    const crashing = { containerStatuses: [waiting('CrashLoopBackOff')] };
    assert.equal(findDeparture(pod(crashing)), undefined);
    assert.equal(findDeparture(pod(undefined)), undefined);
  });
});

describe('the trouble of a slot', () => {
  for (const [name, status, reason, message] of table) {
    test(name, () => {
      const trouble = findTrouble(pod(status));
      assert.equal(trouble?.reason, reason);
      assert.match(trouble?.message ?? '', message);
    });
  }

  test('long words of others are cut, and stay on one line', () => {
    const trouble = findTrouble(pod({ phase: 'Failed', reason: 'Evicted', message: `a\nb${'x'.repeat(5000)}` }));
    assert.ok((trouble?.message.length ?? 0) < 800);
    assert.equal(trouble?.message.includes('\n'), false);
  });
});
