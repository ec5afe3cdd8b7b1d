// The Pod of a slot: what a new one looks like, and what an existing one says. Made once and never compared with a newer
// template, so that an upgrade of the controller leaves running slots alone.
import type { ContainerSpec, EnvVar, Pod, PodVolume, PolicyPeer } from '../api/kinds.ts';
import { kinds } from '../api/kinds.ts';
import { LINK_AUDIENCE, LINK_CA_KEY } from '../api/link.ts';
import type { Pool } from '../api/pool.ts';
import { slotName } from '../lib/ids.ts';
import { SLOT_END_SECONDS } from './bounds.ts';
import { type WeightPlaces, weightVolumes } from './weight-volumes.ts';

const POOL_LABEL = 'stoker.dev/pool';
/** Follows the model that is awake in the slot: what `Model.status.selector` selects. */
export const AWAKE_LABEL = 'stoker.dev/awake';

export const SLOT_DATA_PORT = 8000;
const LINK_VOLUME = 'link-token';
const LINK_FOLDER = '/var/run/stoker/link';
const TOKEN_SECONDS = 3600;
const LINK_URL_VARIABLE = 'STOKER_LINK_URL';

export const SHARED_VOLUME = 'shared-memory';
export const SHARED_MEMORY_PATH = '/dev/shm';
export const DATA_FOLDER = '/var/lib/stoker';
/** The only folders that a slot writes to. */
const WRITABLE_MOUNTS = [
  { name: 'data', mountPath: DATA_FOLDER },
  { name: 'tmp', mountPath: '/tmp' },
];
const USER = 65_532;
export const RESTRICTED_USER = { runAsNonRoot: true, runAsUser: USER, runAsGroup: USER };
/** The Pod security level `restricted`. */
export const RESTRICTED_POD = {
  ...RESTRICTED_USER,
  fsGroup: USER,
  seccompProfile: { type: 'RuntimeDefault' },
};
export const RESTRICTED_CONTAINER = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};
/** A slot that is awake, or holds a last copy, is costly to lose: neither the cluster autoscaler nor Karpenter may move it to save
 * a node. */
export const KEPT_WHERE_IT_IS = {
  'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
  'karpenter.sh/do-not-disrupt': 'true',
};
const RESTRICTED_AGENT = {
  securityContext: RESTRICTED_CONTAINER,
  // The Pool says in a condition why the agent ended.
  terminationMessagePolicy: 'FallbackToLogsOnError',
} as const;
/** A restarted agent loses its engines, so only one that is dead for a minute is restarted. */
const PATIENT_PROBES = {
  startupProbe: { httpGet: { path: '/healthz', port: 'admin' }, periodSeconds: 1, failureThreshold: 60 },
  livenessProbe: {
    httpGet: { path: '/healthz', port: 'admin' },
    periodSeconds: 10,
    timeoutSeconds: 5,
    failureThreshold: 6,
  },
};

/** Where slots run in containers. */
export interface SlotPods {
  readonly image: string;
  readonly pullPolicy: 'Always' | 'IfNotPresent' | 'Never';
  /** Names of Secrets. */
  readonly pullSecrets: readonly string[];
  /** Of the Pods of this release. With them each Pool gets a NetworkPolicy. */
  readonly releaseLabels?: Readonly<Record<string, string>> | undefined;
  /** Where these policies let slots ask for names. Empty or unset: anywhere. */
  readonly dnsTo?: readonly PolicyPeer[] | undefined;
  /** On these ports of Pods. Unset: 53. */
  readonly dnsPorts?: readonly number[] | undefined;
  /** What agents listen on. Unset: every address of version 4. */
  readonly bindHost?: string | undefined;
  readonly logLevel?: string | undefined;
}

export interface SlotTemplate extends WeightPlaces {
  readonly linkUrl: string;
  /** Undefined while the link is plain. */
  readonly linkCaConfigMap?: string | undefined;
  /** Undefined on one machine, whose node runs this program as it is. */
  readonly slotPods?: SlotPods | undefined;
  readonly serviceAccount: string;
  readonly release: string;
}

export function renderSlotPod(pool: Pool, serial: number, template: SlotTemplate): Pod {
  const { name, uid = '' } = pool.metadata;
  const owner = { apiVersion: kinds.Pool.apiVersion, kind: kinds.Pool.kind, name, uid };
  const { slotPods } = template;
  return {
    apiVersion: kinds.Pod.apiVersion,
    kind: kinds.Pod.kind,
    metadata: {
      name: slotName(name, uid, serial),
      labels: renderSlotLabels(pool),
      ...(slotPods === undefined ? {} : { annotations: KEPT_WHERE_IT_IS }),
      ownerReferences: [{ ...owner, controller: true, blockOwnerDeletion: true }],
    },
    spec: {
      serviceAccountName: template.serviceAccount,
      automountServiceAccountToken: false,
      restartPolicy: 'Always',
      // The agent drains for all of maxDrainSeconds; ending its engines comes after.
      terminationGracePeriodSeconds: pool.spec.maxDrainSeconds + SLOT_END_SECONDS,
      ...(slotPods === undefined ? {} : renderPlace(pool, slotPods)),
      containers: [renderAgent(pool, template)],
      volumes: [
        renderLinkVolume(template),
        ...(slotPods === undefined ? [] : renderWritable(pool)),
        ...weightVolumes(pool, template).volumes,
      ],
    },
  };
}

/** The image with every part of Stoker. */
export function stokerImage({ slotPods, release }: Pick<SlotTemplate, 'slotPods' | 'release'>): string {
  return slotPods?.image ?? `stoker.dev/stoker:${release}`;
}

/** What the slots of a pool are found by. */
export function renderSlotLabels(pool: Pool): Readonly<Record<string, string>> {
  return {
    'app.kubernetes.io/name': 'stoker',
    'app.kubernetes.io/component': 'slot',
    [POOL_LABEL]: pool.metadata.name,
  };
}

function renderAgent(pool: Pool, template: SlotTemplate): ContainerSpec {
  const { slotPods } = template;
  const linkMount = { name: LINK_VOLUME, mountPath: LINK_FOLDER, readOnly: true };
  return {
    name: 'agent',
    image: stokerImage(template),
    ...(slotPods === undefined ? {} : { imagePullPolicy: slotPods.pullPolicy, ...RESTRICTED_AGENT }),
    command: ['stoker', 'agent'],
    env: environmentOf(pool, template),
    ports: [
      { name: 'data', containerPort: SLOT_DATA_PORT },
      { name: 'admin', containerPort: 8001 },
    ],
    readinessProbe: { httpGet: { path: '/readyz', port: 'admin' }, periodSeconds: 5 },
    ...(slotPods === undefined ? {} : PATIENT_PROBES),
    resources: renderResources(pool, slotPods),
    volumeMounts: [
      linkMount,
      ...(slotPods === undefined ? [] : WRITABLE_MOUNTS),
      ...sharedMemoryMount(pool, slotPods),
      ...weightVolumes(pool, template).mounts,
    ],
  };
}

function renderLinkVolume({ linkCaConfigMap }: SlotTemplate): PodVolume {
  const token = { audience: LINK_AUDIENCE, expirationSeconds: TOKEN_SECONDS, path: 'token' };
  const authority = { items: [{ key: LINK_CA_KEY, path: LINK_CA_KEY }] };
  const trusted = linkCaConfigMap === undefined ? [] : [{ configMap: { name: linkCaConfigMap, ...authority } }];
  return { name: LINK_VOLUME, projected: { sources: [{ serviceAccountToken: token }, ...trusted] } };
}

/** Where it may run, and as whom. Slots of a pool are spread over nodes where that is possible. */
function renderPlace(pool: Pool, { pullSecrets }: SlotPods): Partial<Pod['spec']> {
  const { nodeSelector, tolerations, runtimeClassName, priorityClassName } = pool.spec.pod ?? {};
  const labelSelector = { matchLabels: { [POOL_LABEL]: pool.metadata.name } };
  const spread = {
    maxSkew: 1,
    topologyKey: 'kubernetes.io/hostname',
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector,
  };
  return {
    ...(nodeSelector === undefined ? {} : { nodeSelector }),
    ...(tolerations === undefined ? {} : { tolerations }),
    ...(runtimeClassName === undefined ? {} : { runtimeClassName }),
    ...(priorityClassName === undefined ? {} : { priorityClassName }),
    ...(pullSecrets.length === 0 ? {} : { imagePullSecrets: pullSecrets.map((name) => ({ name })) }),
    topologySpreadConstraints: [spread],
    securityContext: RESTRICTED_POD,
    // Orphans of engines are buried by the Pod's first process.
    shareProcessNamespace: true,
    enableServiceLinks: false,
  };
}

function renderResources(pool: Pool, slotPods: SlotPods | undefined): NonNullable<ContainerSpec['resources']> {
  const { accelerator, pod = {} } = pool.spec;
  const accelerators = { [accelerator.resourceName]: String(accelerator.countPerSlot) };
  if (slotPods === undefined) return { requests: accelerators, limits: accelerators };
  const { requests, limits } = renderMemory(pool);
  const cpu = pod.cpuMillis === undefined ? {} : { cpu: `${pod.cpuMillis}m` };
  return { requests: { ...accelerators, ...requests, ...cpu }, limits: { ...accelerators, ...limits } };
}

/**
 * Memory in a Pod is asked for and limited alike: an engine that loses its memory loses its weights. Where the Pool does not say
 * what an engine itself takes there can be no limit, for any would end it. What is planned with is asked for all the same: the
 * controller admits sleepers up to sleeperBytes, and a node that never promised them evicts the slot with all that it holds.
 */
function renderMemory({ spec: { sleeperBytes = 0, pod = {} } }: Pool): {
  readonly requests: Readonly<Record<string, string>>;
  readonly limits: Readonly<Record<string, string>>;
} {
  const { memoryBytes, sharedMemoryBytes = 0 } = pod;
  const bytes = (memoryBytes ?? 0) + sharedMemoryBytes + sleeperBytes;
  const memory = bytes === 0 ? {} : { memory: String(bytes) };
  return { requests: memory, limits: memoryBytes === undefined ? {} : memory };
}

function renderWritable(pool: Pool): PodVolume[] {
  const { sharedMemoryBytes } = pool.spec.pod ?? {};
  const shared: PodVolume = {
    name: SHARED_VOLUME,
    emptyDir: { medium: 'Memory', sizeLimit: String(sharedMemoryBytes) },
  };
  return [
    ...WRITABLE_MOUNTS.map(({ name }) => ({ name, emptyDir: {} })),
    ...(sharedMemoryBytes === undefined ? [] : [shared]),
  ];
}

function sharedMemoryMount(pool: Pool, slotPods: SlotPods | undefined) {
  const isWanted = slotPods !== undefined && pool.spec.pod?.sharedMemoryBytes !== undefined;
  return isWanted ? [{ name: SHARED_VOLUME, mountPath: SHARED_MEMORY_PATH }] : [];
}

function environmentOf(pool: Pool, template: SlotTemplate): EnvVar[] {
  return [
    { name: 'STOKER_POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
    { name: 'STOKER_POD_UID', valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
    { name: LINK_URL_VARIABLE, value: template.linkUrl },
    { name: 'STOKER_LINK_TOKEN_FILE', value: `${LINK_FOLDER}/token` },
    ...(template.linkCaConfigMap === undefined
      ? []
      : [{ name: 'STOKER_LINK_CA_FILE', value: `${LINK_FOLDER}/${LINK_CA_KEY}` }]),
    { name: 'STOKER_DRAIN_SECONDS', value: String(pool.spec.maxDrainSeconds) },
    ...(template.slotPods === undefined ? [] : podEnvironment(pool, template.slotPods)),
  ];
}

function podEnvironment({ spec: { pod } }: Pool, { bindHost, logLevel }: SlotPods): EnvVar[] {
  const given = {
    STOKER_BIND_HOST: bindHost,
    STOKER_LOG_LEVEL: logLevel,
    // The built-in engine: more threads than cores only spin.
    STOKER_ENGINE_THREADS:
      pod?.cpuMillis === undefined ? undefined : String(Math.max(1, Math.floor(pod.cpuMillis / 1000))),
  };
  return Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }]));
}

/** The uid of the Pool that controls a Pod. */
export function poolUidOf(pod: Pod): string | undefined {
  return pod.metadata.ownerReferences?.find((owner) => owner.controller === true && owner.kind === kinds.Pool.kind)
    ?.uid;
}

export function isLeaving(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp !== undefined;
}

export function hasEnded(pod: Pod): boolean {
  return pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded';
}

export function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
}

/** The address that its agent dials. */
export function linkUrlOf(pod: Pod): string | undefined {
  return pod.spec.containers[0]?.env?.find(({ name }) => name === LINK_URL_VARIABLE)?.value;
}

/** host:port of the data path. The host comes from Pod status alone. */
export function dataAddressOf(pod: Pod, dataPort: number): string | undefined {
  const host = pod.status?.podIP;
  if (host === undefined || host === '' || dataPort === 0) return undefined;
  return host.includes(':') ? `[${host}]:${dataPort}` : `${host}:${dataPort}`;
}
