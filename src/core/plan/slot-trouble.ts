// What keeps a slot's Pod from working, read from its status: the scheduler, the kubelet and its containers, in the words of
// somebody who can mend it. Pure. Says nothing of a Pod that is only young.
import type { ContainerStatus, Pod } from '../../api/kinds.ts';

export interface SlotTrouble {
  /** A condition's reason, stable. */
  readonly reason:
    | 'Unschedulable'
    | 'ImagePullFailed'
    | 'ImageUnusable'
    | 'ContainerNotCreated'
    | 'InitFailed'
    | 'OutOfMemory'
    | 'AgentCrashing'
    | 'Evicted'
    | 'DiskFull'
    | 'Preempted'
    | 'Refused'
    | 'Ended'
    | 'NodeLost'
    | 'NotStarted';
  /** What is wrong and what to do. */
  readonly message: string;
}

/** The init container that tries an engine's image: its name in the Pod. */
export const CHECK_CONTAINER = 'check-image';

const PULL_REASONS = new Set(['ErrImagePull', 'ImagePullBackOff', 'InvalidImageName', 'ErrImageNeverPull']);
const CREATE_REASONS = new Set(['CreateContainerConfigError', 'CreateContainerError', 'RunContainerError']);
/** A Pod of higher priority took its place: by the scheduler, or by the kubelet for a critical Pod. */
const PREEMPTED = new Set(['Preempting', 'PreemptionByScheduler', 'Preempted']);
/** What the kubelet says of a disk: of the node, or of what one Pod may use. */
const DISK = /ephemeral-storage|nodefs|imagefs|inodes|emptyDir|DiskPressure/i;
/** Reasons of a Pod that somebody sent away, in its status or in its condition DisruptionTarget. */
const SENT_AWAY: Readonly<Record<string, string>> = {
  Evicted: 'The node ran short of memory, disk or processes.',
  EvictionByEvictionAPI: 'Somebody drained its node.',
  DeletionByTaintManager: 'Its node has a taint that it does not tolerate, or is lost.',
  TerminationByKubelet: 'The node shut down or ran short of resources.',
  Terminated: 'The node shut down.',
  NodeShutdown: 'The node shut down.',
};
const TEXT_CHARS_MAX = 400;

/** The same of a Pod that is being deleted: only what sends it away is news then, not how it ends. */
export function findDeparture(pod: Pod): SlotTrouble | undefined {
  const trouble = pod.status === undefined ? undefined : (judgeDisruption(pod.status) ?? judgeNode(pod));
  return trouble === undefined ? undefined : named(pod, trouble);
}

/** Undefined when nothing is known to be wrong. */
export function findTrouble(pod: Pod): SlotTrouble | undefined {
  const { metadata, status } = pod;
  const { name } = metadata;
  if (status === undefined) return undefined;
  const trouble =
    status.phase === 'Failed' || status.phase === 'Succeeded'
      ? judgeEnd(status)
      : (judgeDisruption(status) ??
        judgePlace(pod) ??
        judgeCheck(status.initContainerStatuses ?? []) ??
        judgeImages([...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]) ??
        judgeInit(status.initContainerStatuses ?? [], name) ??
        judgeContainers(status.containerStatuses ?? []));
  if (trouble !== undefined) return named(pod, trouble);
  const isReady = conditionOf(status, 'Ready')?.status === 'True';
  const said = status.message ?? '';
  return isReady || said === '' ? undefined : { reason: 'NotStarted', message: `Slot ${name}: ${shorten(said)}` };
}

const TROUBLES_OF_ONE_NODE: ReadonlySet<SlotTrouble['reason']> = new Set(['NodeLost', 'AgentCrashing']);

/** Whether a slot on another node may well work: nothing about the image, the Pool or the cluster is known to be wrong. */
export function isTroubledHere(pod: Pod): boolean {
  const trouble = findTrouble(pod);
  return trouble !== undefined && TROUBLES_OF_ONE_NODE.has(trouble.reason);
}

function named({ metadata }: Pod, { reason, message }: SlotTrouble): SlotTrouble {
  return { reason, message: `Slot ${metadata.name}: ${message}` };
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
  if (reason in SENT_AWAY || PREEMPTED.has(reason)) return sentAway(reason, message);
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
  const said = message === '' ? reason : shorten(message);
  if (PREEMPTED.has(reason)) {
    const remedy = 'A new slot is made; give slots a priorityClassName in spec.pod of the Pool if they matter more.';
    return { reason: 'Preempted', message: `a Pod of higher priority took its place (${said}). ${remedy}` };
  }
  if (DISK.test(message)) {
    const remedy = 'A new slot is made; free the disk of the node, or give weights a volume of their own.';
    return { reason: 'DiskFull', message: `its node ran short of disk (${said}). ${remedy}` };
  }
  const why = SENT_AWAY[reason] ?? 'It was sent away.';
  const isShort = reason === 'Evicted' || reason === 'TerminationByKubelet';
  const remedy = `A new slot is made${isShort ? '; give slots a priorityClassName and memoryBytes if it happens often' : ' elsewhere'}.`;
  return { reason: 'Evicted', message: `it is sent away from its node (${said}). ${why} ${remedy}` };
}

function judgePlace(pod: Pod): SlotTrouble | undefined {
  const { spec, status } = pod;
  if (status === undefined) return undefined;
  const scheduled = conditionOf(status, 'PodScheduled');
  if (scheduled?.status === 'False' && scheduled.reason === 'Unschedulable') {
    const wanted = Object.keys(spec.containers[0]?.resources?.limits ?? {}).find((resource) => resource.includes('/'));
    const remedy = `Add nodes with ${wanted ?? 'what it asks for'} free, free some, or look at nodeSelector and tolerations of the Pool.`;
    return { reason: 'Unschedulable', message: `no node takes it (${shorten(scheduled.message ?? '')}). ${remedy}` };
  }
  return judgeNode(pod);
}

function judgeNode({ spec, status }: Pod): SlotTrouble | undefined {
  if (status === undefined) return undefined;
  const ready = conditionOf(status, 'Ready');
  const isLost = status.reason === 'NodeLost' || (ready?.status !== 'True' && ready?.reason === 'NodeNotReady');
  if (!isLost) return undefined;
  return {
    reason: 'NodeLost',
    message: `its node ${spec.nodeName ?? ''} does not answer. It counts again when the node is back; delete the node if it is gone for good.`,
  };
}

function judgeImages(containers: readonly ContainerStatus[]): SlotTrouble | undefined {
  for (const container of containers) {
    const { reason = '', message = '' } = partOf(container.state, 'waiting');
    const said = `${reason}${message === '' ? '' : `: ${shorten(message)}`}`;
    if (PULL_REASONS.has(reason)) {
      const isForeign = container.name === CHECK_CONTAINER;
      const remedy = isForeign
        ? 'Look at spec.version.engine.image of the Model, and at imagePullSecrets in the values of the chart.'
        : 'Look at image, tag or digest in the values of the chart, and at imagePullSecrets.';
      return { reason: 'ImagePullFailed', message: `its node does not get the image (${said}). ${remedy}` };
    }
    if (CREATE_REASONS.has(reason)) {
      const remedy = 'Something that the Pod names is missing or does not fit its node.';
      return { reason: 'ContainerNotCreated', message: `its container cannot be made (${said}). ${remedy}` };
    }
  }
  return undefined;
}

/** What has to run before the agent and failed. */
function judgeInit(containers: readonly ContainerStatus[], pod: string): SlotTrouble | undefined {
  for (const { name, ready, state, lastState } of containers) {
    const ends = [partOf(state, 'terminated'), partOf(lastState, 'terminated')];
    const failed = ends.find(({ exitCode = 0 }) => exitCode !== 0);
    if (ready || failed === undefined) continue;
    const said = shorten(failed.message ?? '') || (failed.reason ?? '');
    const message = `its init container ${name} ended with exit code ${failed.exitCode}${said === '' ? '' : ` (${said})`}, so its agent does not start. kubectl logs ${pod} -c ${name} says more.`;
    return { reason: 'InitFailed', message };
  }
  return undefined;
}

function judgeContainers(containers: readonly ContainerStatus[]): SlotTrouble | undefined {
  return judgeMemory(containers) ?? judgeCrashes(containers);
}

/** The image of an engine was tried, and it does not run the agent. Its last words say why. */
function judgeCheck(containers: readonly ContainerStatus[]): SlotTrouble | undefined {
  const check = containers.find(({ name }) => name === CHECK_CONTAINER);
  const waits = partOf(check?.state, 'waiting');
  const ends = [partOf(check?.state, 'terminated'), partOf(check?.lastState, 'terminated')];
  const failure = ends.find(({ exitCode }) => exitCode !== undefined && exitCode !== 0);
  const { message = '', reason = '' } = failure ?? (waits.reason === 'RunContainerError' ? waits : {});
  if (check?.ready !== false || (message === '' && reason === '')) return undefined;
  // Without a shell there are no last words but those of the container runtime.
  const said = message === '' ? reason : shorten(message);
  const remedy = 'It needs /bin/sh and glibc 2.34 or newer: change spec.version.engine.image of the Model.';
  return { reason: 'ImageUnusable', message: `its engine's image does not run the agent (${said}). ${remedy}` };
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
  const { exitCode, message = '' } = partOf(crashing.lastState, 'terminated');
  // The end of a log: its last line is the one that counts.
  const words = message.trim().split('\n').at(-1) ?? '';
  const said = words === '' ? '' : ` (${shorten(words)})`;
  const code = exitCode === undefined ? '' : `, the last time with exit code ${exitCode}${said}`;
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
