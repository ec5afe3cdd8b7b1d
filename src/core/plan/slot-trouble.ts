// What keeps a slot's Pod from working, read from its status: the scheduler, the kubelet and its containers, in the words of
// somebody who can mend it. Pure. Says nothing of a Pod that is only young.
import type { ContainerStatus, Pod } from '../../api/kinds.ts';
import { demandOfClaims, findClaimTrouble } from './claim-trouble.ts';
import { type AgeOf, adviseOnLostNode, isNodeLost, isOverdue } from './node-loss.ts';
import { explainSlowStart } from './slow-start.ts';

export interface SlotTrouble {
  /** A condition's reason, stable. */
  readonly reason:
    | 'Unschedulable'
    | 'ClaimMissing'
    | 'ClaimUnusable'
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

/** What is known of a slot beside its Pod. */
export interface SlotFacts {
  /** Its agent is connected: what its node does not say of it is no trouble yet. */
  readonly isReached?: boolean;
  /** Whether its Pool may have one more, beside all that are there. Missing: not known. */
  readonly mayGrow?: boolean;
  /** Missing: nothing is judged by its age. */
  readonly ageOf?: AgeOf;
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
  DeletionByTaintManager: 'Its node has a taint that it does not tolerate.',
  TerminationByKubelet: 'The node shut down or ran short of resources.',
  Terminated: 'The node shut down.',
  NodeShutdown: 'The node shut down.',
};
const TEXT_CHARS_MAX = 400;

/** The same of a Pod that is being deleted: only what sends it away, or keeps it from ending, is news then, not how it ends. */
export function findDeparture(pod: Pod, facts: SlotFacts = {}): SlotTrouble | undefined {
  const trouble = judgeLostDeparture(pod, facts) ?? judgeDisruption(pod, facts);
  return trouble === undefined ? undefined : named(pod, trouble);
}

/** Undefined when nothing is known to be wrong. */
export function findTrouble(pod: Pod, facts: SlotFacts = {}): SlotTrouble | undefined {
  const { metadata, status } = pod;
  const { name } = metadata;
  if (status === undefined) return undefined;
  const trouble =
    status.phase === 'Failed' || status.phase === 'Succeeded'
      ? judgeEnd(pod, facts)
      : (judgeDisruption(pod, facts) ??
        judgePlace(pod, facts) ??
        judgeCheck(status.initContainerStatuses ?? []) ??
        judgeImages([...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]) ??
        judgeInit(status.initContainerStatuses ?? [], name) ??
        judgeContainers(status.containerStatuses ?? []));
  if (trouble !== undefined) return named(pod, trouble);
  const said = explainDelay(pod, facts);
  return said === undefined ? undefined : named(pod, { reason: 'NotStarted', message: said });
}

/** In the words of its node, where that says anything. */
function explainDelay(pod: Pod, { ageOf }: SlotFacts): string | undefined {
  const { status } = pod;
  if (status === undefined || conditionOf(status, 'Ready')?.status === 'True') return undefined;
  if ((status.message ?? '') !== '') return shorten(status.message ?? '');
  return ageOf === undefined ? undefined : explainSlowStart(pod, ageOf);
}

/**
 * Whether a slot on another node may well work, though this one is alive: nothing about the image, the Pool or the cluster is
 * known to be wrong.
 */
export function isTroubledHere(pod: Pod): boolean {
  return findTrouble(pod)?.reason === 'AgentCrashing';
}

function named({ metadata }: Pod, { reason, message }: SlotTrouble): SlotTrouble {
  return { reason, message: `Slot ${metadata.name}: ${message}` };
}

type Status = NonNullable<Pod['status']>;

function conditionOf(status: Status, type: string) {
  return status.conditions?.find((condition) => condition.type === type);
}

/** The Pod is over. What ended it is in its reason; a node that refused it at the door says so there, too. */
function judgeEnd(pod: Pod, facts: SlotFacts): SlotTrouble {
  const { reason = '', message = '', containerStatuses = [] } = pod.status ?? {};
  const disruption = judgeDisruption(pod, facts);
  if (disruption !== undefined) return disruption;
  if (reason in SENT_AWAY || PREEMPTED.has(reason)) return sentAway({ reason, message }, facts);
  const memory = judgeMemory(containerStatuses);
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

function judgeDisruption({ status }: Pod, facts: SlotFacts): SlotTrouble | undefined {
  if (status === undefined) return undefined;
  const { status: is, reason = '', message = '' } = conditionOf(status, 'DisruptionTarget') ?? {};
  return is === 'True' ? sentAway({ reason, message }, facts) : undefined;
}

interface Said {
  readonly reason: string;
  readonly message: string;
}

function sentAway({ reason, message }: Said, { mayGrow }: SlotFacts): SlotTrouble {
  const said = message === '' ? reason : shorten(message);
  // It counts until it is gone.
  const next = mayGrow === false ? 'A new slot is made once this one is gone' : 'A new slot is made';
  if (PREEMPTED.has(reason)) {
    const remedy = `${next}; give slots a priorityClassName in spec.pod of the Pool if they matter more.`;
    return { reason: 'Preempted', message: `a Pod of higher priority took its place (${said}). ${remedy}` };
  }
  if (DISK.test(message)) {
    const remedy = `${next}; free the disk of the node, or give weights a volume of their own.`;
    return { reason: 'DiskFull', message: `its node ran short of disk (${said}). ${remedy}` };
  }
  const why = SENT_AWAY[reason] ?? 'It was sent away.';
  const isShort = reason === 'Evicted' || reason === 'TerminationByKubelet';
  const advice = isShort ? '; give slots a priorityClassName and memoryBytes if it happens often' : '';
  const place = isShort || mayGrow === false ? '' : ' elsewhere';
  return {
    reason: 'Evicted',
    message: `it is sent away from its node (${said}). ${why} ${next}${place}${advice}.`,
  };
}

function judgePlace(pod: Pod, facts: SlotFacts): SlotTrouble | undefined {
  const { status } = pod;
  if (status === undefined) return undefined;
  const scheduled = conditionOf(status, 'PodScheduled');
  if (scheduled?.status === 'False' && scheduled.reason === 'Unschedulable')
    return explainNoPlace(pod, scheduled.message ?? '');
  return facts.isReached !== true && isNodeLost(pod) ? explainLoss(pod, facts) : undefined;
}

function explainNoPlace(pod: Pod, message: string): SlotTrouble {
  const said = shorten(message);
  const claim = findClaimTrouble(pod, message);
  if (claim !== undefined) return { reason: claim.reason, message: `no node takes it (${said}). ${claim.remedy}` };
  const limits = Object.keys(pod.spec.containers[0]?.resources?.limits ?? {});
  const wanted = limits.find((resource) => resource.includes('/')) ?? 'what it asks for';
  const remedy = `Add nodes with ${wanted} free, free some, or look at nodeSelector and tolerations of the Pool.`;
  return { reason: 'Unschedulable', message: `no node takes it (${said}). ${remedy}${demandOfClaims(pod, message)}` };
}

/** Somebody, or the control plane, wants it gone; only its node can say that it is. */
function judgeLostDeparture(pod: Pod, facts: SlotFacts): SlotTrouble | undefined {
  if (isNodeLost(pod)) return explainLoss(pod, facts);
  return facts.ageOf !== undefined && isOverdue(pod, facts.ageOf) ? explainLoss(pod, facts) : undefined;
}

/** Only the kubelet may be cut off, so nothing may be said to be free. */
function explainLoss(pod: Pod, { mayGrow }: SlotFacts): SlotTrouble {
  const { nodeName } = pod.spec;
  const silent = `its node${nodeName === undefined ? '' : ` ${nodeName}`} does not answer`;
  const what = isNodeLost(pod) ? `${silent}.` : `it should have ended and has not: ${silent}, or cannot end it.`;
  const none = mayGrow === false ? ', and the Pool has as many as it may' : '';
  const another = mayGrow === true ? ' A new slot is made elsewhere where one is wanted.' : '';
  return {
    reason: 'NodeLost',
    message: `${what} ${adviseOnLostNode(pod)} Until then it counts for spec.slots.max of the Pool, because its accelerators may still be in use${none}.${another}`,
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
