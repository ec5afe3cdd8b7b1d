// Flavours of slots: the image that a slot's engines run from. A slot has one for all of its life, written on its Pod. An image
// that is not ours gets the agent by an init container; nothing in it has to be prepared for Stoker.
import { type ContainerSpec, type EnvVar, kinds, type Pod, type PodVolume } from '../api/kinds.ts';
import type { Model } from '../api/model.ts';
import type { Pool } from '../api/pool.ts';
import type { Placement } from '../core/plan/placement.ts';
import { CHECK_CONTAINER } from '../core/plan/slot-trouble.ts';
import type { Cluster } from '../ports/cluster.ts';
import { compileCacheVariable, compileCacheVolume } from './compile-cache-volume.ts';
import {
  DATA_FOLDER,
  RESTRICTED_CONTAINER,
  RESTRICTED_POD,
  RESTRICTED_USER,
  SHARED_MEMORY_PATH,
  SHARED_VOLUME,
  type SlotTemplate,
} from './slot-pod.ts';

/** On a slot's Pod: the image of its engines, by digest. Missing: the built-in engines. */
const FLAVOUR_ANNOTATION = 'stoker.dev/engine-image';

const CARRIED = 'carried-agent';
const CARRIED_FOLDER = '/stoker';
const RUN_SCRIPT = `${CARRIED_FOLDER}/run.sh`;

/** What our own image says by itself. */
const CARRIED_ENVIRONMENT: readonly EnvVar[] = [{ name: 'STOKER_DATA_DIR', value: DATA_FOLDER }];
/** The image knows nothing of our user: a home, and a name for whoever asks for it instead of looking it up. */
const STRANGER_ENVIRONMENT: readonly EnvVar[] = [
  { name: 'HOME', value: DATA_FOLDER },
  { name: 'USER', value: 'stoker' },
  { name: 'LOGNAME', value: 'stoker' },
];

/** The Pod security level `baseline`: as the image says, mostly root, but without any right of root's beyond its files. */
const { fsGroup, seccompProfile } = RESTRICTED_POD;
const BASELINE_POD = { fsGroup, seccompProfile };
const BASELINE_CONTAINER = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
/** The init container with our image stays as every other container of ours. */
const OWN_CONTAINER = { ...RESTRICTED_CONTAINER, ...RESTRICTED_USER };

/** What engines on several accelerators talk through. A container has 64 MiB of it by itself. */
const SHARED_BYTES_PER_ACCELERATOR = 2 * 1024 ** 3;

export function flavourOf(pod: Pod): string | undefined {
  return pod.metadata.annotations?.[FLAVOUR_ANNOTATION];
}

/** As a member that is missing for the built-in engines. */
export function flavourField(flavour: string | undefined): { readonly flavour?: string } {
  return flavour === undefined ? {} : { flavour };
}

/** By pool, the flavour of each slot that placement lacks. Slots that are on their way are for somebody already. */
export function listLackingSlots(
  { unmet }: Placement,
  slotCounts: ReadonlyMap<string, { readonly comingFlavours: readonly (string | undefined)[] }>,
): Map<string, readonly (string | undefined)[]> {
  const lacking = new Map<string, (string | undefined)[]>();
  const coming = new Map([...slotCounts].map(([pool, { comingFlavours }]) => [pool, [...comingFlavours]]));
  for (const { pool, claim } of unmet) {
    if (pool === undefined) continue;
    const flavours = lacking.get(pool) ?? [];
    lacking.set(pool, flavours);
    const onItsWay = coming.get(pool)?.indexOf(claim.flavour) ?? -1;
    if (onItsWay >= 0) coming.get(pool)?.splice(onItsWay, 1);
    else flavours.push(claim.flavour);
  }
  return lacking;
}

/** The flavours that a pool's slots are wanted in, once for each Model that may use it. A slot of another one is of no use. */
export function listWantedFlavours(cluster: Cluster, pool: string): readonly (string | undefined)[] {
  const isOurs = ({ metadata, spec }: Model) => spec.pools.includes(pool) && metadata.deletionTimestamp === undefined;
  return cluster
    .list(kinds.Model)
    .filter(isOurs)
    .flatMap(({ spec, status = {} }) => {
      const names = [status.stableRevision, status.candidateRevision].filter((name) => name !== undefined);
      const engines = names.flatMap((name) => cluster.get(kinds.ModelRevision, name)?.spec.engine ?? []);
      // Before it is pinned there is what it asks for.
      return (engines.length === 0 ? [spec.version.engine] : engines).filter(({ name }) => name !== 'Remote');
    })
    .map(({ image }) => image);
}

/** For a slot that nobody waits for: the flavour that has fewest slots for each Model that wants it. */
export function chooseFlavour(
  wanted: readonly (string | undefined)[],
  existing: readonly (string | undefined)[],
): string | undefined {
  const countIn = (list: readonly (string | undefined)[], flavour: string | undefined) =>
    list.filter((one) => one === flavour).length;
  const worth = (flavour: string | undefined) => countIn(wanted, flavour) / (1 + countIn(existing, flavour));
  return wanted.reduce((best, one) => (worth(one) > worth(best) ? one : best), wanted[0]);
}

/** Whether no Model of the pool could run in a slot of this flavour, while others wait for slots of theirs. */
export function isUnwanted(flavour: string | undefined, wanted: readonly (string | undefined)[]): boolean {
  return wanted.length > 0 && !wanted.includes(flavour);
}

/** The Pod of a slot, brought to an image that is not ours. */
export function renderFlavouredPod(
  pod: Pod,
  flavour: string | undefined,
  { pool, template }: { readonly pool: Pool; readonly template: SlotTemplate },
): Pod {
  const { slotPods } = template;
  const [agent, ...others] = pod.spec.containers;
  if (flavour === undefined || slotPods === undefined || agent === undefined) return pod;
  const { metadata, spec } = pod;
  const isRestricted = pool.spec.pod?.security === 'Restricted';
  const foreign = {
    image: flavour,
    imagePullPolicy: 'IfNotPresent',
    securityContext: isRestricted ? RESTRICTED_CONTAINER : BASELINE_CONTAINER,
  } as const;
  const shared = renderShared(pool, agent);
  const cache = compileCacheVolume(pool, template);
  const carried = { name: CARRIED, mountPath: CARRIED_FOLDER, readOnly: true };
  const engine: ContainerSpec = {
    ...agent,
    ...foreign,
    command: ['/bin/sh', RUN_SCRIPT, 'agent'],
    env: [
      ...(agent.env ?? []),
      ...CARRIED_ENVIRONMENT,
      compileCacheVariable(pool),
      ...(isRestricted ? STRANGER_ENVIRONMENT : []),
    ],
    volumeMounts: [...(agent.volumeMounts ?? []), ...shared.mounts, ...cache.mounts, carried],
  };
  return {
    ...pod,
    metadata: { ...metadata, annotations: { ...metadata.annotations, [FLAVOUR_ANNOTATION]: flavour } },
    spec: {
      ...spec,
      securityContext: isRestricted ? RESTRICTED_POD : BASELINE_POD,
      initContainers: [
        {
          name: 'carry-agent',
          image: slotPods.image,
          imagePullPolicy: slotPods.pullPolicy,
          command: ['/bin/sh', '/app/bin/carry-agent.sh', '/app', CARRIED_FOLDER],
          volumeMounts: [{ name: CARRIED, mountPath: CARRIED_FOLDER }],
          securityContext: OWN_CONTAINER,
          resources: SMALL,
        },
        {
          name: CHECK_CONTAINER,
          ...foreign,
          command: ['/bin/sh', RUN_SCRIPT, 'check'],
          volumeMounts: [carried],
          resources: SMALL,
        },
      ],
      containers: [engine, ...others],
      volumes: [...(spec.volumes ?? []), ...shared.volumes, ...cache.volumes, { name: CARRIED, emptyDir: {} }],
    },
  };
}

/** Where the Pool says no size, slots of several accelerators get one out of their memory. */
function renderShared({ spec }: Pool, agent: ContainerSpec) {
  const { countPerSlot } = spec.accelerator;
  const hasOne = agent.volumeMounts?.some(({ mountPath }) => mountPath === SHARED_MEMORY_PATH) === true;
  if (hasOne || countPerSlot === 1) return { volumes: [], mounts: [] };
  const sizeLimit = String(countPerSlot * SHARED_BYTES_PER_ACCELERATOR);
  const volume: PodVolume = { name: SHARED_VOLUME, emptyDir: { medium: 'Memory', sizeLimit } };
  return { volumes: [volume], mounts: [{ name: SHARED_VOLUME, mountPath: SHARED_MEMORY_PATH }] };
}

/** They copy files and ask for a version. */
const SMALL = { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '512Mi' } };
