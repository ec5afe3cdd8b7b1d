import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Pod } from '../../../../src/api/kinds.ts';
import { findDeparture, findTrouble, isTroubledHere } from '../../../../src/core/plan/slot-trouble.ts';
import { ageAt } from '../../../support/pod-age.ts';

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

/** As the node lifecycle controller leaves it: Ready is taken, without a reason, and nothing else is touched. */
const lost: NonNullable<Pod['status']> = {
  phase: 'Running',
  conditions: [condition('ContainersReady', 'True', ''), { type: 'Ready', status: 'False' }],
  containerStatuses: [container({ ready: true, state: { running: {} } })],
};

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
    lost,
    'NodeLost',
    /^Slot gpus-1: its node node-a does not answer\. .*kubectl delete node node-a\. Until then it counts for spec\.slots\.max/,
  ],
  [
    'a slot that does not say that it is ready',
    { ...lost, conditions: [condition('Ready', 'False', 'ContainersNotReady', 'unready: [agent]')] },
    undefined,
    /^$/,
  ],
  [
    'a kubelet that gives no reason for a container that is not ready',
    { ...lost, containerStatuses: [container({ state: { running: {} } })] },
    undefined,
    /^$/,
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
  const leaving = (status: Pod['status']): Pod => {
    const { metadata, ...rest } = pod(status);
    return { ...rest, metadata: { ...metadata, deletionTimestamp: '2026-01-01T00:05:00Z' } };
  };
  const dueMs = Date.parse('2026-01-01T00:05:00Z');
  const tainted = condition('DisruptionTarget', 'True', 'DeletionByTaintManager', 'Taint manager: deleting');

  test('preemption is told; how it ends, and that a person deleted it, are not', () => {
    const preempted = { conditions: [condition('DisruptionTarget', 'True', 'PreemptionByScheduler', 'higher')] };
    assert.equal(findDeparture(pod(preempted))?.reason, 'Preempted');
    const crashing = { containerStatuses: [waiting('CrashLoopBackOff')] };
    assert.equal(findDeparture(pod(crashing)), undefined);
    assert.equal(findDeparture(pod(undefined)), undefined);
  });

  test('a node that is lost is told, and what to do, also when the taint of it has the slot deleted', () => {
    const gone = { ...lost, conditions: [...(lost.conditions ?? []), tainted] };
    for (const status of [lost, gone]) {
      const departure = findDeparture(leaving(status), { mayGrow: false });
      assert.equal(departure?.reason, 'NodeLost');
      assert.match(departure.message, /^Slot gpus-1: its node node-a does not answer\. .*delete node node-a/);
      assert.match(departure.message, /in use, and the Pool has as many as it may\.$/);
    }
    assert.match(findDeparture(leaving(gone), { mayGrow: true })?.message ?? '', /A new slot is made elsewhere where/);
  });

  test('a taint of a node that answers sends it away', () => {
    const departure = findDeparture(leaving({ phase: 'Running', conditions: [tainted] }), { ageOf: ageAt(dueMs) });
    assert.equal(departure?.reason, 'Evicted');
    assert.match(departure.message, /has a taint that it does not tolerate\. A new slot is made elsewhere\.$/);
  });

  test('one that is there long after its grace is said, whatever it was deleted for', () => {
    assert.equal(findDeparture(leaving({ phase: 'Running' }), { ageOf: ageAt(dueMs + 59_000) }), undefined);
    const departure = findDeparture(leaving({ phase: 'Running' }), { ageOf: ageAt(dueMs + 60_000) });
    assert.equal(departure?.reason, 'NodeLost');
    assert.match(departure.message, /should have ended and has not: its node node-a does not answer, or cannot end it/);
  });

  test('no slot is promised at once where the Pool has as many as it may', () => {
    for (const reason of ['EvictionByEvictionAPI', 'PreemptionByScheduler', 'TerminationByKubelet']) {
      const status = { conditions: [condition('DisruptionTarget', 'True', reason)] };
      const { message = '' } = findDeparture(leaving(status), { mayGrow: false }) ?? {};
      assert.match(message, /A new slot is made once this one is gone/);
      assert.doesNotMatch(message, /elsewhere/);
    }
  });
});

describe('a slot that does not begin on its node', () => {
  const scheduled = { type: 'PodScheduled', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' };
  const atMs = Date.parse('2026-01-01T00:05:00Z');
  const pending: NonNullable<Pod['status']> = {
    phase: 'Pending',
    conditions: [scheduled, condition('Ready', 'False', 'ContainersNotReady')],
    containerStatuses: [waiting('ContainerCreating')],
  };
  const begun = checking({ terminated: { exitCode: 0, reason: 'Completed' } });

  for (const [name, status] of [
    ['whose container is being made', pending],
    [
      'whose first init container has not started',
      {
        ...pending,
        initContainerStatuses: [checking({ waiting: { reason: 'PodInitializing' } })],
        containerStatuses: [waiting('PodInitializing')],
      },
    ],
    ['of which its kubelet has not said anything', { phase: 'Pending', conditions: [scheduled] }],
  ] as const) {
    test(`${name}: said after five minutes, and that it may only be a large image`, () => {
      assert.equal(findTrouble(pod(status), { ageOf: ageAt(atMs - 1) }), undefined);
      const trouble = findTrouble(pod(status), { ageOf: ageAt(atMs) });
      assert.equal(trouble?.reason, 'NotStarted');
      assert.match(
        trouble.message,
        /^Slot gpus-1: it has not started on its node node-a for 5 min or longer\. Its image is still being pulled, .*or a volume cannot be mounted: kubectl describe pod gpus-1/,
      );
    });
  }

  for (const [name, status] of [
    ['that has no node yet', { ...pending, conditions: [] }],
    ['one of whose init containers ran', { ...pending, initContainerStatuses: [{ ...begun, ready: true }] }],
    ['that runs and is not ready', { ...pending, phase: 'Running', containerStatuses: [container({ state: {} })] }],
    [
      'whose volumes and network are there',
      { ...pending, conditions: [scheduled, condition('PodReadyToStartContainers', 'True', '')] },
    ],
  ] as const) {
    test(`nothing is said of one ${name}`, () => {
      assert.equal(findTrouble(pod(status), { ageOf: ageAt(atMs + 3_600_000) }), undefined);
    });
  }

  test('what is known to be wrong goes before', () => {
    const failing = { ...pending, containerStatuses: [waiting('ErrImagePull', 'not found')] };
    assert.equal(findTrouble(pod(failing), { ageOf: ageAt(atMs) })?.reason, 'ImagePullFailed');
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

  test('a node that is silent is no trouble while its agent is connected, and slows no other slot', () => {
    assert.equal(findTrouble(pod(lost), { isReached: true }), undefined);
    assert.equal(isTroubledHere(pod(lost)), false);
  });

  test('long words of others are cut, and stay on one line', () => {
    const trouble = findTrouble(pod({ phase: 'Failed', reason: 'Evicted', message: `a\nb${'x'.repeat(5000)}` }));
    assert.ok((trouble?.message.length ?? 0) < 800);
    assert.equal(trouble?.message.includes('\n'), false);
  });
});
