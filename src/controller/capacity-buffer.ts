// Nodes for the slots that a Pool would make next: a CapacityBuffer of the cluster autoscaler's API, and the PodTemplate that says
// how large a slot is. Written for Pools that ask for it, where the API exists. Makes no node and no slot itself.
import type { ClusterObject, Condition, KindRef } from '../api/group.ts';
import { type CapacityBuffer, capacityBufferKinds, kinds, type PodTemplate, podTemplateKind } from '../api/kinds.ts';
import type { Pool } from '../api/pool.ts';
import type { Cluster, ClusterError } from '../ports/cluster.ts';
import { CHILD_LOOK_MS } from './bounds.ts';
import type { ControllerOptions } from './options.ts';
import { controllerOf, isOfPredecessor, ownedBy } from './ownership.ts';
import { renderSlotPod, type SlotTemplate } from './slot-pod.ts';

export const BUFFER_CONDITION = 'CapacityBuffered';

type Verdict = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

/** What to say in the status of the Pool. */
export type BufferOutcome =
  | { readonly type: 'say'; readonly verdict: Verdict }
  /** What was said stays. */
  | { readonly type: 'keep' }
  /** So it does, and soon it can be done: what a Pool of this name had before is being collected. */
  | { readonly type: 'wait' }
  /** Nobody asks for it, and none of ours is left. */
  | { readonly type: 'forget' };

export interface BufferContext {
  readonly options: Pick<ControllerOptions, 'cluster' | 'clock' | 'slotPods'>;
  readonly template: () => SlotTemplate;
  /** By the Pool's uid: what was asked for, and when. */
  readonly buffers: Map<string, { readonly asked: string; readonly atMs: number }>;
  readonly signal: AbortSignal;
}

/** `replicas` is undefined while it is not known yet how many slots should stand free. */
export async function keepCapacityBuffer(
  pool: Pool,
  replicas: number | undefined,
  context: BufferContext,
): Promise<BufferOutcome> {
  const { options, buffers } = context;
  const uid = pool.metadata.uid ?? '';
  const wasSaid = pool.status?.conditions?.some(({ type }) => type === BUFFER_CONDITION) === true;
  if (pool.spec.spare?.capacityBuffer !== true) {
    buffers.delete(uid);
    return wasSaid ? removeAll(pool, context) : { type: 'forget' };
  }
  if (options.slotPods === undefined) return say('False', 'OneMachine', 'One machine makes no nodes.');
  if (replicas === undefined) return { type: 'keep' };
  const wanted = renderWanted(pool, replicas, context.template());
  const asked = JSON.stringify(wanted);
  const last = buffers.get(uid);
  const nowMs = options.clock.nowMs();
  if (wasSaid && last?.asked === asked && nowMs - last.atMs < CHILD_LOOK_MS) return { type: 'keep' };
  const outcome = await writeAll(options.cluster, wanted, { replicas, signal: context.signal });
  if (outcome.type === 'say') buffers.set(uid, { asked, atMs: nowMs });
  return outcome;
}

interface Wanted {
  readonly spec: CapacityBuffer['spec'];
  readonly template: PodTemplate['template'];
  readonly metadata: ClusterObject['metadata'];
}

function bufferName(pool: Pool): string {
  return `stoker-slots-${pool.metadata.name}`;
}

function renderWanted(pool: Pool, replicas: number, template: SlotTemplate): Wanted {
  const name = bufferName(pool);
  const { spec } = renderSlotPod(pool, 0, template);
  const { nodeSelector, tolerations, runtimeClassName, priorityClassName } = spec;
  const place = { nodeSelector, tolerations, runtimeClassName, priorityClassName };
  return {
    metadata: { name, ownerReferences: [ownedBy(kinds.Pool, pool)] },
    spec: { provisioningStrategy: 'buffer.x-k8s.io/active-capacity', podTemplateRef: { name }, replicas },
    // Only what decides where it fits: no Pod is ever made of it.
    template: {
      spec: {
        ...Object.fromEntries(Object.entries(place).filter(([, value]) => value !== undefined)),
        containers: spec.containers.map(({ name, image, resources }) => ({ name, image, resources })),
      },
    },
  };
}

async function writeAll(
  cluster: Cluster,
  { metadata, spec, template }: Wanted,
  { replicas, signal }: { readonly replicas: number; readonly signal: AbortSignal },
): Promise<BufferOutcome> {
  for (const kind of capacityBufferKinds) {
    const { apiVersion } = kind;
    const buffer = await write(cluster, kind, { apiVersion, kind: kind.kind, metadata, spec }, { spec, signal });
    // The server does not know this version.
    if (buffer?.cause === 'NotFound') continue;
    if (buffer !== undefined) return explain(buffer);
    const whole = { apiVersion: podTemplateKind.apiVersion, kind: podTemplateKind.kind, metadata, template };
    const shape = await write(cluster, podTemplateKind, whole, { template, signal });
    if (shape !== undefined) return explain(shape);
    const slots = replicas === 1 ? '1 more slot' : `${replicas} more slots`;
    return say('True', 'BufferKept', `The CapacityBuffer ${metadata.name} asks for nodes for ${slots}.`);
  }
  const message =
    'The cluster has no CapacityBuffer (autoscaling.x-k8s.io), so no node stands ready. Install a cluster autoscaler that has it, or take spec.spare.capacityBuffer out.';
  return say('False', 'BufferApiMissing', message);
}

interface WriteError {
  /** An object of somebody else, or of a Pool before this one, has the name, or what the server said. */
  readonly cause: 'Foreign' | 'Predecessor' | ClusterError['reason'];
  readonly message: string;
}

/** Undefined: it is there as it should be. The server leaves out a patch that changes nothing. */
async function write<T extends ClusterObject>(
  cluster: Cluster,
  kind: KindRef<T>,
  object: T,
  { signal, ...patch }: { readonly signal: AbortSignal; readonly spec?: object; readonly template?: object },
): Promise<WriteError | undefined> {
  const { name } = object.metadata;
  const found = await cluster.read(kind, name, signal);
  if (!found.ok && found.error.reason !== 'NotFound') return failed(found.error);
  if (found.ok && isOfPredecessor(found.value, controllerOf(object))) {
    return { cause: 'Predecessor', message: `The ${kind.kind} ${name} of the Pool before is still there.` };
  }
  if (found.ok && controllerOf(found.value)?.uid !== controllerOf(object)?.uid) {
    const message = `The ${kind.kind} ${name} belongs to somebody else and is left alone, so no node stands ready. Give it another name or delete it.`;
    return { cause: 'Foreign', message };
  }
  const written = found.ok
    ? await cluster.patch(kind, name, patch, { signal })
    : await cluster.create(kind, object, signal);
  return written.ok ? undefined : failed(written.error);
}

function failed({ reason, message }: ClusterError): WriteError {
  return { cause: reason, message };
}

function explain({ cause, message }: WriteError): BufferOutcome {
  switch (cause) {
    case 'Foreign':
      return say('False', 'BufferTaken', message);
    case 'Predecessor':
      return { type: 'wait' };
    case 'Forbidden':
      return say(
        'False',
        'BufferRefused',
        `The controller may not write it: ${message} Set rbac.capacityBuffers=true of the chart.`,
      );
    case 'Invalid':
      return say('False', 'BufferRefused', `The server did not take it: ${message}`);
    case 'Conflict':
    case 'AlreadyExists':
    case 'NotFound':
    case 'Gone':
    case 'Unauthorized':
    case 'Throttled':
    case 'Unavailable':
    case 'Timeout':
    case 'Aborted':
      return { type: 'keep' };
  }
}

async function removeAll(pool: Pool, { options, signal }: BufferContext): Promise<BufferOutcome> {
  const { cluster } = options;
  for (const kind of [...capacityBufferKinds, podTemplateKind] as readonly KindRef[]) {
    const found = await cluster.read(kind, bufferName(pool), signal);
    // Who may not read it now could not have made it, or its rights were taken away with the wish.
    if (!found.ok && (found.error.reason === 'NotFound' || found.error.reason === 'Forbidden')) continue;
    if (!found.ok) return { type: 'keep' };
    if (controllerOf(found.value)?.uid !== pool.metadata.uid) continue;
    const { uid } = found.value.metadata;
    const removed = await cluster.remove(kind, bufferName(pool), { ...(uid === undefined ? {} : { uid }), signal });
    if (!removed.ok && removed.error.reason !== 'NotFound') return { type: 'keep' };
  }
  return { type: 'forget' };
}

function say(status: Verdict['status'], reason: string, message: string): BufferOutcome {
  return { type: 'say', verdict: { type: BUFFER_CONDITION, status, reason, message } };
}
