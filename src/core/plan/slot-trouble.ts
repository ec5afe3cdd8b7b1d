// What keeps a slot's Pod from working, read from its status: the scheduler, the kubelet and its containers, in the words of
// somebody who can mend it. Pure. Says nothing of a Pod that is only young.
import type { Pod } from '../../api/kinds.ts';

export interface SlotTrouble {
  /** A condition's reason, stable. */
  readonly reason:
    | 'Unschedulable'
    | 'ImagePullFailed'
    | 'ContainerNotCreated'
    | 'OutOfMemory'
    | 'AgentCrashing'
    | 'Evicted'
    | 'Refused'
    | 'Ended'
    | 'NodeLost'
    | 'NotStarted';
  /** What is wrong and what to do. */
  readonly message: string;
}

type ContainerStatus = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number];

const PULL_REASONS = new Set(['ErrImagePull', 'ImagePullBackOff', 'InvalidImageName', 'ErrImageNeverPull']);
const CREATE_REASONS = new Set(['CreateContainerConfigError', 'CreateContainerError', 'RunContainerError']);
/** Reasons of a Pod that somebody sent away, in its status or in its condition DisruptionTarget. */
const SENT_AWAY: Readonly<Record<string, string>> = {
  Evicted: 'The node ran short of memory, disk or processes.',
  Preempting: 'A Pod of higher priority took its place.',
  PreemptionByScheduler: 'A Pod of higher priority took its place.',
  Preempted: 'A Pod of higher priority took its place.',
  EvictionByEvictionAPI: 'Somebody drained its node.',
  DeletionByTaintManager: 'Its node has a taint that it does not tolerate, or is lost.',
  TerminationByKubelet: 'The node shut down or ran short of resources.',
  Terminated: 'The node shut down.',
  NodeShutdown: 'The node shut down.',
};
const TEXT_CHARS_MAX = 400;

/** Undefined when nothing is known to be wrong. */
export function findTrouble(pod: Pod): SlotTrouble | undefined {
  const { metadata, status } = pod;
  const { name } = metadata;
  if (status === undefined) return undefined;
  const trouble =
    status.phase === 'Failed' || status.phase === 'Succeeded'
      ? judgeEnd(status)
      : (judgeDisruption(status) ?? judgePlace(pod) ?? judgeContainers(status.containerStatuses ?? []));
  if (trouble !== undefined) return { ...trouble, message: `Slot ${name}: ${trouble.message}` };
  const isReady = conditionOf(status, 'Ready')?.status === 'True';
  const said = status.message ?? '';
  return isReady || said === '' ? undefined : { reason: 'NotStarted', message: `Slot ${name}: ${shorten(said)}` };
}

type Status = NonNullable<Pod['status']>;

function conditionOf(status: Status, type: string) {
  return status.conditions?.find((condition) => condition.type === type);
}

/** The Pod is over. What ended it is in its reason; a node that refused it at the door says so there, too. */
function judgeEnd(status: Status): SlotTrouble {
  const { reason = '', message = '' } = status;
  const disruption = judgeDisruption(status);
  if (disruption !== undefined) return disruption;
  if (reason in SENT_AWAY) return sentAway(reason, message);
  const memory = judgeMemory(status.containerStatuses ?? []);
  if (memory !== undefined) return memory;
  const isRefusal = /^(OutOf|UnexpectedAdmissionError|NodeAffinity|Admission|SysctlForbidden|AppArmor)/.test(reason);
  if (isRefusal) {
    const remedy =
      'The node had promised room that it does not have: look at its device plugin and at what else uses it.';
    return { reason: 'Refused', message: `its node refused it (${reason}: ${shorten(message)}). ${remedy}` };
  }
  const said = [reason, shorten(message)].filter((text) => text !== '').join(': ');
  return { reason: 'Ended', message: `its Pod ended${said === '' ? '' : ` (${said})`}. A new one is made.` };
}

function judgeDisruption(status: Status): SlotTrouble | undefined {
  const { status: is, reason = '', message = '' } = conditionOf(status, 'DisruptionTarget') ?? {};
  return is === 'True' ? sentAway(reason, message) : undefined;
}

function sentAway(reason: string, message: string): SlotTrouble {
  const why = SENT_AWAY[reason] ?? 'It was sent away.';
  const said = message === '' ? reason : shorten(message);
  const remedy = 'A new slot is made; give slots a priorityClassName and memoryBytes if it happens often.';
  return { reason: 'Evicted', message: `it is sent away from its node (${said}). ${why} ${remedy}` };
}

function judgePlace({ spec, status }: Pod): SlotTrouble | undefined {
  if (status === undefined) return undefined;
  const scheduled = conditionOf(status, 'PodScheduled');
  if (scheduled?.status === 'False' && scheduled.reason === 'Unschedulable') {
    const wanted = Object.keys(spec.containers[0]?.resources?.limits ?? {}).find((resource) => resource.includes('/'));
    const remedy = `Add nodes with ${wanted ?? 'what it asks for'} free, free some, or look at nodeSelector and tolerations of the Pool.`;
    return { reason: 'Unschedulable', message: `no node takes it (${shorten(scheduled.message ?? '')}). ${remedy}` };
  }
  const ready = conditionOf(status, 'Ready');
  const isLost = status.reason === 'NodeLost' || (ready?.status !== 'True' && ready?.reason === 'NodeNotReady');
  if (!isLost) return undefined;
  return {
    reason: 'NodeLost',
    message: `its node ${spec.nodeName ?? ''} does not answer. It counts again when the node is back; delete the node if it is gone for good.`,
  };
}

function judgeContainers(containers: readonly ContainerStatus[]): SlotTrouble | undefined {
  for (const container of containers) {
    const { reason = '', message = '' } = partOf(container.state, 'waiting');
    const said = `${reason}${message === '' ? '' : `: ${shorten(message)}`}`;
    if (PULL_REASONS.has(reason)) {
      const remedy = 'Look at image, tag or digest in the values of the chart, and at imagePullSecrets.';
      return { reason: 'ImagePullFailed', message: `its node does not get the image (${said}). ${remedy}` };
    }
    if (CREATE_REASONS.has(reason)) {
      const remedy = 'Something that the Pod names is missing or does not fit its node.';
      return { reason: 'ContainerNotCreated', message: `its container cannot be made (${said}). ${remedy}` };
    }
  }
  return judgeMemory(containers) ?? judgeCrashes(containers);
}

/** While it is back and Ready, an old crash is history. */
function judgeMemory(containers: readonly ContainerStatus[]): SlotTrouble | undefined {
  const killed = containers.find(
    ({ ready, state, lastState }) =>
      !ready &&
      [partOf(state, 'terminated'), partOf(lastState, 'terminated')].some(({ reason }) => reason === 'OOMKilled'),
  );
  if (killed === undefined) return undefined;
  const remedy = 'Raise memoryBytes in spec.pod of the Pool, or lower sleepersPerSlotMax.';
  return { reason: 'OutOfMemory', message: `it used more memory than it may and was killed. ${remedy}` };
}

function judgeCrashes(containers: readonly ContainerStatus[]): SlotTrouble | undefined {
  const crashing = containers.find(({ state }) => partOf(state, 'waiting').reason === 'CrashLoopBackOff');
  if (crashing === undefined) return undefined;
  const { exitCode } = partOf(crashing.lastState, 'terminated');
  const code = exitCode === undefined ? '' : `, the last time with exit code ${exitCode}`;
  return {
    reason: 'AgentCrashing',
    message: `its agent ended ${crashing.restartCount} times${code}. kubectl logs --previous of the Pod says why.`,
  };
}

interface ContainerPart {
  readonly reason?: string;
  readonly message?: string;
  readonly exitCode?: number;
}

function partOf(state: object | undefined, name: 'waiting' | 'terminated'): ContainerPart {
  const part: unknown = (state as Readonly<Record<string, unknown>> | undefined)?.[name];
  return typeof part === 'object' && part !== null ? part : {};
}

function shorten(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= TEXT_CHARS_MAX ? line : `${line.slice(0, TEXT_CHARS_MAX - 1)}…`;
}
