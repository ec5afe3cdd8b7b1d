// The API group, the object frame that every kind shares, and the conditions. Must never know a particular kind.
import { z } from 'zod';

export const API_GROUP = 'stoker.dev';
export const API_VERSION_NAME = 'v1alpha1';
export const API_VERSION = `${API_GROUP}/${API_VERSION_NAME}`;

/** Names of our objects: DNS labels of at most 52 characters, so that `<name>-<10 hex>` still is one. */
export const OBJECT_NAME_PATTERN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
export const OBJECT_NAME_CHARS_MAX = 52;

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** What we read of Kubernetes' ObjectMeta. Dates are RFC 3339 strings everywhere. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  /** Set with deletionTimestamp: how long the object's processes get. */
  readonly deletionGracePeriodSeconds?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly OwnerReference[];
}

const MESSAGE_CHARS_MAX = 1024;

/** metav1.Condition. `observedGeneration` says which spec the verdict is about. */
export const conditionSchema = z
  .object({
    type: z.string().min(1).max(64).meta({ description: 'What the condition is about.' }),
    status: z.enum(['True', 'False', 'Unknown']).meta({ description: 'Whether it holds.' }),
    reason: z.string().min(1).max(64).meta({ description: 'One CamelCase word for programs.' }),
    message: z
      .string()
      .max(MESSAGE_CHARS_MAX)
      .meta({ description: 'A sentence for people: what is so, and what to do.' }),
    lastTransitionTime: z.string().max(32).meta({ description: 'When status last changed.', format: 'date-time' }),
    observedGeneration: z.int().min(0).optional().meta({ description: 'The generation of the spec that was judged.' }),
  })
  .meta({ description: 'One observed fact about the object.' });

export type Condition = z.infer<typeof conditionSchema>;

export const conditionsSchema = z
  .array(conditionSchema)
  .max(16)
  .meta({
    description: 'Observed facts, one of each type.',
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['type'],
  });

/** What somebody else said may be long: it is cut so that what there is to do still fits behind it. */
export function sayBefore(said: string, advice: string): string {
  return `${said.slice(0, Math.max(0, MESSAGE_CHARS_MAX - advice.length - 1))} ${advice}`;
}

/**
 * Returns `conditions` with the one of `next.type` set. The transition time moves only when the status changes. A message that is
 * too long is cut: the server would take nothing of the status.
 */
export function setCondition(
  conditions: readonly Condition[],
  next: Omit<Condition, 'lastTransitionTime'>,
  wallMs: number,
): Condition[] {
  const before = conditions.find((condition) => condition.type === next.type);
  const lastTransitionTime =
    before?.status === next.status ? before.lastTransitionTime : new Date(wallMs).toISOString().replace(/\.\d+Z$/, 'Z');
  const others = conditions.filter((condition) => condition.type !== next.type);
  const message = next.message.slice(0, MESSAGE_CHARS_MAX);
  return [...others, { ...next, message, lastTransitionTime }].sort((a, b) => a.type.localeCompare(b.type));
}

/** The least that any Kubernetes object has. */
export interface ClusterObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
}

/** Names a kind on the wire. `object` is only for the compiler and never set. */
export interface KindRef<T extends ClusterObject = ClusterObject> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly object?: T;
}
