// Renders what the node knows of a Pod as the status that Kubernetes clients read. Pure: the same facts give the same
// status, and a condition's time moves only when its status does.
import type { Pod, PodStatus } from '../../api/kinds.ts';
import type { PodStatusPatch } from './node-api.ts';

export interface Terminated {
  readonly exitCode: number;
  readonly signal?: number;
  readonly reason: string;
  readonly message?: string;
  readonly startedAt?: string;
  readonly finishedAt: string;
}

export interface ContainerState {
  readonly name: string;
  readonly image: string;
  readonly ready: boolean;
  readonly restartCount: number;
  readonly state:
    | { readonly waiting: { readonly reason: string; readonly message?: string } }
    | { readonly running: { readonly startedAt: string } }
    | { readonly terminated: Terminated };
  readonly lastState: Terminated | undefined;
}

/** How a Pod that never ran, or runs no more, ended. */
export interface PodEnd {
  readonly phase: 'Succeeded' | 'Failed';
  readonly reason?: string;
  readonly message?: string;
}

export interface PodFacts {
  readonly podIp: string;
  readonly startTime: string;
  readonly containers: readonly ContainerState[];
  readonly end: PodEnd | undefined;
  /** Why its containers cannot be made yet. */
  readonly waitingFor: string | undefined;
}

type Conditions = NonNullable<PodStatus['conditions']>;
interface Verdict {
  readonly type: string;
  readonly holds: boolean;
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
}

/** The status of a Pod that has its place on the node. */
export function renderStatus(facts: PodFacts, before: Conditions, now: string): PodStatusPatch {
  const { containers, end } = facts;
  const isReady = end === undefined && containers.length > 0 && containers.every((container) => container.ready);
  const reason = isReady ? undefined : readinessReason(end);
  const message = isReady || reason !== 'ContainersNotReady' ? undefined : unreadySentence(containers);
  return {
    phase: end?.phase ?? phaseOf(containers),
    reason: end?.reason ?? null,
    message: end?.message ?? facts.waitingFor ?? null,
    hostIP: facts.podIp,
    podIP: facts.podIp,
    startTime: facts.startTime,
    conditions: renderConditions(before, now, [
      { type: 'PodScheduled', holds: true },
      { type: 'Initialized', holds: true },
      { type: 'ContainersReady', holds: isReady, reason, message },
      { type: 'Ready', holds: isReady, reason, message },
    ]),
    containerStatuses: containers.map(renderContainer),
  };
}

/** The status of a Pod that found no place. */
export function renderUnschedulable(pod: Pod, sentence: string, now: string): PodStatusPatch {
  const before = pod.status?.conditions ?? [];
  return {
    phase: 'Pending',
    conditions: renderConditions(before, now, [
      { type: 'PodScheduled', holds: false, reason: 'Unschedulable', message: sentence },
    ]),
  };
}

function phaseOf(containers: readonly ContainerState[]): 'Pending' | 'Running' {
  const hasStarted = containers.some(({ state, lastState }) => !('waiting' in state) || lastState !== undefined);
  return hasStarted ? 'Running' : 'Pending';
}

function readinessReason(end: PodEnd | undefined): string {
  if (end === undefined) return 'ContainersNotReady';
  return end.phase === 'Succeeded' ? 'PodCompleted' : 'PodFailed';
}

function unreadySentence(containers: readonly ContainerState[]): string {
  const names = containers.filter((container) => !container.ready).map((container) => container.name);
  return `containers with unready status: [${names.join(' ')}]`;
}

function renderConditions(before: Conditions, now: string, verdicts: readonly Verdict[]): Conditions {
  return verdicts.map(({ type, holds, reason, message }) => {
    const status = holds ? 'True' : 'False';
    const same = before.find((condition) => condition.type === type && condition.status === status);
    return {
      type,
      status,
      lastTransitionTime: same?.lastTransitionTime ?? now,
      ...(reason === undefined ? {} : { reason }),
      ...(message === undefined ? {} : { message }),
    };
  });
}

function renderContainer(container: ContainerState) {
  const { lastState, state, ...rest } = container;
  return {
    ...rest,
    imageID: '',
    started: 'running' in state,
    state,
    lastState: lastState === undefined ? {} : { terminated: lastState },
  };
}
