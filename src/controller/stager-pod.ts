// The Pod of a stager: what it looks like, and what an existing one says. It runs once, has no token, and gets its credentials
// from the Secret by the node alone. Only Pods of this kind may leave the cluster.
import { createHash } from 'node:crypto';
import { type EnvVar, kinds, type Pod } from '../api/kinds.ts';
import type { ModelRevision } from '../api/model-revision.ts';
import type { Pool } from '../api/pool.ts';
import { ownedBy } from './ownership.ts';
import { RESTRICTED_CONTAINER, RESTRICTED_POD, type SlotPods } from './slot-pod.ts';
import { nodeAffinityOf, type WeightPlaces, weightsFolderOf, weightVolumes } from './weight-volumes.ts';

/** A download of terabytes over a slow line ends before this, or is started anew. */
const DEADLINE_SECONDS = 12 * 3600;
/** Without any right, and its token is not mounted. */
const SERVICE_ACCOUNT = 'stoker-stager';
const REVISION_LABEL = 'stoker.dev/stages';
/** On a stager: what it writes to. */
const VOLUME_ANNOTATION = 'stoker.dev/weights-volume';
const SAID_CHARS_MAX = 1024;

/** Where a stager in a Pod tells how far it is. */
export const PROGRESS_PORT = 8002;
/** More are not named to a stager, and then it takes nothing away. */
const KEPT_MAX = 1200;
const KEEP_VARIABLE = 'STOKER_STAGE_KEEP';

export interface StagerTemplate extends WeightPlaces {
  readonly image: string;
  /** Undefined on one machine, whose node runs this program as it is. */
  readonly slotPods?: SlotPods | undefined;
}

/** The same for the same revision and volume, so that there is never a second one. At most 63 characters. */
export function stagerName(revision: string, volumeKey: string): string {
  const suffix = createHash('sha256').update(`${revision} ${volumeKey}`).digest('hex').slice(0, 8);
  return `${revision.slice(0, 48).replace(/-+$/, '')}-stage-${suffix}`;
}

export interface StagerOrder {
  readonly revision: ModelRevision;
  readonly pool: Pool;
  readonly name: string;
  /** With the credentials for the source of the revision, and for no other. */
  readonly secretName: string | undefined;
  /** Names the volume. */
  readonly key: string;
  /** What the sets on the volume may take, and those that stay. */
  readonly cacheBytesMax?: number | undefined;
  readonly keep: readonly string[];
}

export function renderStagerPod(order: StagerOrder, template: StagerTemplate): Pod {
  const { revision, pool, name } = order;
  const { volumes, mounts } = weightVolumes(pool, template, { readOnly: false });
  return {
    apiVersion: kinds.Pod.apiVersion,
    kind: kinds.Pod.kind,
    metadata: {
      name,
      labels: {
        'app.kubernetes.io/name': 'stoker',
        'app.kubernetes.io/component': 'stager',
        [REVISION_LABEL]: revision.metadata.name,
      },
      annotations: { [VOLUME_ANNOTATION]: order.key },
      ownerReferences: [ownedBy(kinds.ModelRevision, revision)],
    },
    spec: {
      serviceAccountName: SERVICE_ACCOUNT,
      automountServiceAccountToken: false,
      restartPolicy: 'Never',
      activeDeadlineSeconds: DEADLINE_SECONDS,
      terminationGracePeriodSeconds: 5,
      ...(template.slotPods === undefined
        ? {}
        : { ...renderPlace(pool, template.slotPods), ...nodeAffinityOf(order.key) }),
      containers: [
        {
          name: 'stager',
          image: template.image,
          command: commandOf(order, template),
          env: environmentOf(order),
          ...(template.slotPods === undefined ? {} : { ports: [{ name: 'progress', containerPort: PROGRESS_PORT }] }),
          resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '512Mi' } },
          ...(template.slotPods === undefined
            ? {}
            : { imagePullPolicy: template.slotPods.pullPolicy, securityContext: RESTRICTED_CONTAINER }),
          volumeMounts: mounts,
        },
      ],
      volumes,
    },
  };
}

/** Where the slots of the pool may run: a volume may be on such a node alone. */
function renderPlace(pool: Pool, { pullSecrets }: SlotPods): Partial<Pod['spec']> {
  const { nodeSelector, tolerations } = pool.spec.pod ?? {};
  return {
    ...(nodeSelector === undefined ? {} : { nodeSelector }),
    ...(tolerations === undefined ? {} : { tolerations }),
    ...(pullSecrets.length === 0 ? {} : { imagePullSecrets: pullSecrets.map((name) => ({ name })) }),
    securityContext: RESTRICTED_POD,
    enableServiceLinks: false,
  };
}

const secretVariables = {
  STOKER_STAGE_TOKEN: 'token',
  STOKER_STAGE_USERNAME: 'username',
  STOKER_STAGE_PASSWORD: 'password',
  STOKER_STAGE_ACCESS_KEY_ID: 'accessKeyId',
  STOKER_STAGE_SECRET_ACCESS_KEY: 'secretAccessKey',
  STOKER_STAGE_SESSION_TOKEN: 'sessionToken',
} as const;

/** A stager of this machine tells in a file how far it is: two of them could not have the same port. */
function commandOf(order: StagerOrder, template: StagerTemplate): string[] {
  const { slotPods } = template;
  return [
    ...['stoker', 'stage', '--folder', weightsFolderOf(template)],
    ...(slotPods === undefined ? [] : ['--progress-port', String(PROGRESS_PORT)]),
    ...(isBounded(order) ? ['--cache-bytes-max', String(order.cacheBytesMax)] : []),
  ];
}

function isBounded({ cacheBytesMax, keep }: StagerOrder): boolean {
  return cacheBytesMax !== undefined && keep.length <= KEPT_MAX;
}

function environmentOf(order: StagerOrder): EnvVar[] {
  const { revision, secretName: name, keep } = order;
  const secret =
    name === undefined
      ? []
      : Object.entries(secretVariables).map(([variable, key]) => ({
          name: variable,
          valueFrom: { secretKeyRef: { name, key, optional: true } },
        }));
  return [
    { name: 'STOKER_IN_POD', value: '1' },
    { name: 'STOKER_STAGE_FILES', value: JSON.stringify(revision.spec.weights?.fileSet) },
    ...(isBounded(order) ? [{ name: KEEP_VARIABLE, value: keep.join(',') }] : []),
    ...secret,
  ];
}

/** It has neither ended nor failed. */
export function isAtWork({ status, metadata }: Pod): boolean {
  return metadata.deletionTimestamp === undefined && status?.phase !== 'Succeeded' && status?.phase !== 'Failed';
}

/** The volume that a stager writes to. */
export function volumeOfStager({ metadata }: Pod): string | undefined {
  return metadata.annotations?.[VOLUME_ANNOTATION];
}

/** Whether this stager was told to make room on a volume, and not to keep this set. */
export function mayTakeAway(pod: Pod, { key, digest }: { readonly key: string; readonly digest: string }): boolean {
  if (pod.metadata.annotations?.[VOLUME_ANNOTATION] !== key) return false;
  const kept = pod.spec.containers[0]?.env?.find(({ name }) => name === KEEP_VARIABLE)?.value;
  return kept !== undefined && !kept.split(',').includes(digest);
}

/** The revision that a stager works for; undefined for every other Pod. */
export function stagedRevisionOf({ metadata }: Pod): string | undefined {
  return metadata.labels?.[REVISION_LABEL];
}

export interface StagerEnd {
  readonly reason: string;
  readonly message: string;
}

/** Why a stager failed, in its own last words or in those of Kubernetes. */
export function stagerEndOf({ status }: Pod): StagerEnd {
  const state = status?.containerStatuses?.[0]?.state ?? {};
  const terminated = 'terminated' in state ? asRecord(state.terminated) : {};
  const said = parseLastWords(String(terminated.message ?? ''));
  const why = status?.message ?? `Its exit code was ${String(terminated.exitCode ?? 'not told')}.`;
  return {
    reason: said?.reason ?? status?.reason ?? 'StagerFailed',
    message: said?.message ?? `The Pod that downloads the weights failed. ${why}`,
  };
}

function parseLastWords(text: string): { readonly reason: string; readonly message: string } | undefined {
  try {
    const { reason, message } = asRecord(JSON.parse(text));
    if (typeof reason !== 'string' || typeof message !== 'string' || !/^[A-Za-z]{1,64}$/.test(reason)) return undefined;
    return { reason, message: message.slice(0, SAID_CHARS_MAX) };
  } catch {
    return undefined;
  }
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
