// Where downloaded weights lie: a claim or a folder of the node on a cluster, as the Pool says, and a folder of the machine in
// local mode. Slots read there and stagers write; all see the same path, and this module alone knows it.
import { createHash } from 'node:crypto';
import type { ContainerSpec, Pod, PodVolume } from '../api/kinds.ts';
import type { Pool } from '../api/pool.ts';
import { WEIGHTS_VOLUME } from '../core/plan/claim-trouble.ts';

const MOUNT_PATH = '/var/lib/stoker/weights';
/** What a revision's status says of the folder of a local node. */
const LOCAL_KEY = 'local';

export interface WeightPlaces {
  /** Set in local mode: the folder that every process of this machine reads. */
  readonly localWeightsFolder?: string | undefined;
  /** Whether Pools may name a folder of the node. */
  readonly allowsHostPath?: boolean | undefined;
}

/** What a Pod adds to itself to see a volume; nothing when there is nothing to mount. */
export interface VolumeMounts {
  readonly volumes: readonly PodVolume[];
  readonly mounts: NonNullable<ContainerSpec['volumeMounts']>;
}

export function weightVolumes(pool: Pool, places: WeightPlaces, { readOnly = true } = {}): VolumeMounts {
  const volume = renderVolume(pool, places, readOnly);
  if (volume === undefined) return { volumes: [], mounts: [] };
  return {
    volumes: [{ name: WEIGHTS_VOLUME, ...volume }],
    mounts: [{ name: WEIGHTS_VOLUME, mountPath: MOUNT_PATH, readOnly }],
  };
}

function renderVolume(pool: Pool, places: WeightPlaces, readOnly: boolean): Omit<PodVolume, 'name'> | undefined {
  const { claimName } = pool.spec.weights ?? {};
  if (places.localWeightsFolder !== undefined) return undefined;
  if (claimName !== undefined) return { persistentVolumeClaim: { claimName, readOnly } };
  const path = hostPathOf(pool, places);
  // Not made by the node: it would belong to root, and the stager could not write.
  return path === undefined ? undefined : { hostPath: { path, type: 'Directory' } };
}

/** The folder of the node that a pool keeps weights in. Undefined: it keeps them elsewhere, or may not. */
function hostPathOf({ spec }: Pool, { localWeightsFolder, allowsHostPath }: WeightPlaces): string | undefined {
  return localWeightsFolder === undefined && allowsHostPath === true ? spec.weights?.hostPath?.path : undefined;
}

/** Whether each node has a volume of its own. */
export function isNodeLocal(pool: Pool, places: WeightPlaces): boolean {
  return hostPathOf(pool, places) !== undefined;
}

/** Whether a pool names a folder of the node that it may not have. */
export function isHostPathRefused({ spec }: Pool, { localWeightsFolder, allowsHostPath }: WeightPlaces): boolean {
  return localWeightsFolder === undefined && spec.weights?.hostPath !== undefined && allowsHostPath !== true;
}

/**
 * Names the volume that a pool's slots read; the same for pools that share one. Undefined: the pool has none, or each node has
 * its own and the node is not known.
 */
export function weightsKeyOf(pool: Pool, places: WeightPlaces, node?: string): string | undefined {
  if (places.localWeightsFolder !== undefined) return LOCAL_KEY;
  const { claimName } = pool.spec.weights ?? {};
  if (claimName !== undefined) return `claim/${claimName}`;
  const path = hostPathOf(pool, places);
  return path === undefined || node === undefined ? undefined : `${NODE_PREFIX}${node}/${shortOf(path)}`;
}

const NODE_PREFIX = 'node/';

const shortPaths = new Map<string, string>();
const SHORT_PATHS_MAX = 256;

/** Paths are long, and names of nodes, too. Remembered, because every plan asks for that of each slot. */
function shortOf(path: string): string {
  const known = shortPaths.get(path);
  if (known !== undefined) return known;
  const short = createHash('sha256').update(path).digest('hex').slice(0, 8);
  if (shortPaths.size >= SHORT_PATHS_MAX) shortPaths.clear();
  shortPaths.set(path, short);
  return short;
}

/** The node whose folder a key names. */
function nodeOf(key: string): string | undefined {
  return key.startsWith(NODE_PREFIX) ? key.slice(NODE_PREFIX.length, key.lastIndexOf('/')) : undefined;
}

/** What puts a stager where its volume is; nothing for a volume that any node can mount. */
export function nodeAffinityOf(key: string): Pick<Pod['spec'], 'affinity'> {
  const node = nodeOf(key);
  if (node === undefined) return {};
  const matchFields = [{ key: 'metadata.name', operator: 'In', values: [node] }];
  const required = { nodeSelectorTerms: [{ matchFields }] };
  return { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: required } } };
}

/** The folder of all sets, as a Pod sees it. */
export function weightsFolderOf({ localWeightsFolder }: WeightPlaces): string {
  return localWeightsFolder ?? MOUNT_PATH;
}

/** What the sets on a volume may take together: the least that a pool which reads it says. Undefined: it has no bound. */
export function cacheBytesMaxOf(pools: readonly Pool[], key: string, places: WeightPlaces): number | undefined {
  const bounds = pools
    .filter((pool) => weightsKeyOf(pool, places, nodeOf(key)) === key)
    .flatMap(({ spec }) => spec.weights?.cacheBytesMax ?? []);
  return bounds.length === 0 ? undefined : Math.min(...bounds);
}
