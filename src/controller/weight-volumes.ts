// Where downloaded weights lie: a claim of the Pool on a cluster, a folder of the machine in local mode. Slots read there and
// stagers write; both see the same path, and this module alone knows it.
import type { ContainerSpec, PodVolume } from '../api/kinds.ts';
import type { Pool } from '../api/pool.ts';

const MOUNT_PATH = '/var/lib/stoker/weights';
const VOLUME_NAME = 'weights';
/** What a revision's status says of the folder of a local node. */
const LOCAL_KEY = 'local';

export interface WeightPlaces {
  /** Set in local mode: the folder that every process of this machine reads. */
  readonly localWeightsFolder?: string | undefined;
}

/** What a Pod adds to itself to see the weights; nothing when there is nothing to mount. */
export interface WeightMounts {
  readonly volumes: readonly PodVolume[];
  readonly mounts: NonNullable<ContainerSpec['volumeMounts']>;
}

export function weightVolumes(pool: Pool, places: WeightPlaces, { readOnly = true } = {}): WeightMounts {
  const claimName = pool.spec.weights?.claimName;
  if (places.localWeightsFolder !== undefined || claimName === undefined) return { volumes: [], mounts: [] };
  return {
    volumes: [{ name: VOLUME_NAME, persistentVolumeClaim: { claimName, readOnly } }],
    mounts: [{ name: VOLUME_NAME, mountPath: MOUNT_PATH, readOnly }],
  };
}

/** Names the volume that a pool's slots read; the same for pools that share one. Undefined: the pool has none. */
export function weightsKeyOf(pool: Pool, { localWeightsFolder }: WeightPlaces): string | undefined {
  if (localWeightsFolder !== undefined) return LOCAL_KEY;
  const claimName = pool.spec.weights?.claimName;
  return claimName === undefined ? undefined : `claim/${claimName}`;
}

/** The folder of all sets, as a Pod sees it. */
export function weightsFolderOf({ localWeightsFolder }: WeightPlaces): string {
  return localWeightsFolder ?? MOUNT_PATH;
}

/** What the sets on a volume may take together: the least that a pool which reads it says. Undefined: it has no bound. */
export function cacheBytesMaxOf(pools: readonly Pool[], key: string, places: WeightPlaces): number | undefined {
  const bounds = pools
    .filter((pool) => weightsKeyOf(pool, places) === key)
    .flatMap(({ spec }) => spec.weights?.cacheBytesMax ?? []);
  return bounds.length === 0 ? undefined : Math.min(...bounds);
}
