// Where slots with engines of others keep what those compile: a claim or a folder of the node, as the Pool says, else a folder
// that goes with the slot. Who may write there runs code in every slot that reads it, so it belongs to one Pool or to its equals.
import type { EnvVar } from '../api/kinds.ts';
import type { Pool } from '../api/pool.ts';
import { COMPILE_CACHE_VOLUME } from '../core/plan/claim-trouble.ts';
import { DATA_FOLDER } from './slot-pod.ts';
import type { VolumeMounts, WeightPlaces } from './weight-volumes.ts';

const MOUNT_PATH = `${DATA_FOLDER}/cache`;

export function compileCacheVolume(pool: Pool, places: WeightPlaces): VolumeMounts {
  const { claimName } = pool.spec.compileCache ?? {};
  const path = places.allowsHostPath === true ? pool.spec.compileCache?.hostPath?.path : undefined;
  const mounts = [{ name: COMPILE_CACHE_VOLUME, mountPath: MOUNT_PATH }];
  if (claimName !== undefined)
    return { volumes: [{ name: COMPILE_CACHE_VOLUME, persistentVolumeClaim: { claimName, readOnly: false } }], mounts };
  // Not made by the node: it would belong to root, and a slot of another user could not write.
  if (path !== undefined)
    return { volumes: [{ name: COMPILE_CACHE_VOLUME, hostPath: { path, type: 'Directory' } }], mounts };
  return { volumes: [], mounts: [] };
}

/** Kernels of one kind of accelerator are of no use to another. */
export function compileCacheVariable({ spec }: Pool): EnvVar {
  const value = `${MOUNT_PATH}/class-${encodeURIComponent(spec.accelerator.className)}`;
  return { name: 'STOKER_COMPILE_CACHE_DIR', value };
}

export interface CacheTrouble {
  readonly reason: 'HostPathForbidden';
  readonly message: string;
}

/** Undefined when the Pool may have what it asks for. */
export function judgeCompileCache({ metadata, spec }: Pool, places: WeightPlaces): CacheTrouble | undefined {
  const { localWeightsFolder, allowsHostPath } = places;
  const isAllowed = localWeightsFolder !== undefined || allowsHostPath === true;
  if (spec.compileCache?.hostPath === undefined || isAllowed) return undefined;
  const message = `The Pool ${metadata.name} keeps what engines compile in a folder of the node (spec.compileCache.hostPath), and this installation does not allow that: every new slot compiles anew. Set slots.allowHostPath of the chart, or use spec.compileCache.claimName.`;
  return { reason: 'HostPathForbidden', message };
}
