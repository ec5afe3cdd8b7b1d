// The status that clients read: phases, conditions and their times.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ContainerState, renderStatus, renderUnschedulable } from '../../../../src/local/node/pod-status.ts';

const then = '2026-01-01T00:00:00Z';
const now = '2026-01-01T00:01:00Z';

function container(more: Partial<ContainerState>): ContainerState {
  const state = { waiting: { reason: 'ContainerCreating' } };
  return { name: 'agent', image: 'none', ready: false, restartCount: 0, state, lastState: undefined, ...more };
}

const running = { running: { startedAt: then } };
const ended = (exitCode: number) => ({ exitCode, reason: 'Error', startedAt: then, finishedAt: now });

function render(containers: readonly ContainerState[], more: Partial<Parameters<typeof renderStatus>[0]> = {}) {
  const facts = { podIp: '127.0.0.1', startTime: then, containers, end: undefined, waitingFor: undefined, ...more };
  return renderStatus(facts, [], now);
}

describe('phases', () => {
  const rows: [string, ContainerState[], string][] = [
    ['nothing has started', [container({})], 'Pending'],
    ['no container is made yet', [], 'Pending'],
    ['one runs', [container({}), container({ state: running })], 'Running'],
    ['it waits for a restart', [container({ lastState: ended(1) })], 'Running'],
    ['it has ended, and may start again', [container({ state: { terminated: ended(1) } })], 'Running'],
  ];
  for (const [name, containers, phase] of rows) test(name, () => assert.equal(render(containers).phase, phase));

  test('an end is the phase, with its reason', () => {
    const end = { phase: 'Failed', reason: 'CommandNotAllowed', message: 'no' } as const;
    const status = render([], { end });
    assert.deepEqual([status.phase, status.reason, status.message], ['Failed', 'CommandNotAllowed', 'no']);
    assert.equal(status.conditions?.find(({ type }) => type === 'Ready')?.reason, 'PodFailed');
  });
});

describe('conditions', () => {
  test('ready when every container is', () => {
    const ready = container({ state: running, ready: true });
    const verdict = (containers: ContainerState[]) =>
      render(containers)
        .conditions?.map(({ type, status }) => `${type}=${status}`)
        .join(' ');
    assert.equal(verdict([ready, ready]), 'PodScheduled=True Initialized=True ContainersReady=True Ready=True');
    assert.equal(
      verdict([ready, container({})]),
      'PodScheduled=True Initialized=True ContainersReady=False Ready=False',
    );
    assert.equal(verdict([]), 'PodScheduled=True Initialized=True ContainersReady=False Ready=False');
  });

  test('a time moves only with its status', () => {
    const facts = { podIp: '127.0.0.1', startTime: then, end: undefined, waitingFor: undefined };
    const before = renderStatus({ ...facts, containers: [container({})] }, [], then).conditions ?? [];
    const after = renderStatus(
      { ...facts, containers: [container({ state: running, ready: true })] },
      before,
      now,
    ).conditions;
    assert.deepEqual(
      after?.map(({ lastTransitionTime }) => lastTransitionTime),
      [then, then, now, now],
    );
  });

  test('a Pod without a place', () => {
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' }, spec: { containers: [] } } as const;
    assert.deepEqual(renderUnschedulable(pod, 'no room', now), {
      phase: 'Pending',
      conditions: [
        { type: 'PodScheduled', status: 'False', lastTransitionTime: now, reason: 'Unschedulable', message: 'no room' },
      ],
    });
  });

  test('what was said before is taken back with null', () => {
    const status = render([container({ state: running })]);
    assert.deepEqual([status.reason, status.message], [null, null]);
  });
});

test('a container as Kubernetes shows it', () => {
  const status = render([container({ state: running, ready: true, restartCount: 2, lastState: ended(3) })]);
  assert.deepEqual(status.containerStatuses, [
    {
      name: 'agent',
      image: 'none',
      imageID: '',
      ready: true,
      started: true,
      restartCount: 2,
      state: running,
      lastState: { terminated: ended(3) },
    },
  ]);
});
