// Flavours of slots: the image that a slot's engines run from. A slot has one for all of its life, written on its Pod. An image
// that is not ours gets the agent by an init container; nothing in it has to be prepared for Stoker.
import type { ContainerSpec, EnvVar, Pod } from '../api/kinds.ts';
import type { Placement } from '../core/plan/placement.ts';
import type { SlotTemplate } from './slot-pod.ts';

/** On a slot's Pod: the image of its engines, by digest. Missing: the built-in engines. */
const FLAVOUR_ANNOTATION = 'stoker.dev/engine-image';

const CARRIED = 'carried-agent';
const CARRIED_FOLDER = '/stoker';
const RUN_SCRIPT = `${CARRIED_FOLDER}/run.sh`;
const DATA_FOLDER = '/var/lib/stoker';
const CACHE_FOLDER = `${DATA_FOLDER}/cache`;

/** What our own image says by itself. Caches of engines go where a slot may write. */
const CARRIED_ENVIRONMENT: readonly EnvVar[] = [
  { name: 'STOKER_DATA_DIR', value: DATA_FOLDER },
  { name: 'HOME', value: DATA_FOLDER },
  { name: 'XDG_CACHE_HOME', value: CACHE_FOLDER },
  { name: 'VLLM_CACHE_ROOT', value: `${CACHE_FOLDER}/vllm` },
  // Without it the folder's name is made of the user's, which the image does not know.
  { name: 'TORCHINDUCTOR_CACHE_DIR', value: `${CACHE_FOLDER}/torchinductor` },
  { name: 'TRITON_CACHE_DIR', value: `${CACHE_FOLDER}/triton` },
];

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

/** The Pod of a slot, brought to an image that is not ours. */
export function renderFlavouredPod(pod: Pod, flavour: string | undefined, { slotPods }: SlotTemplate): Pod {
  if (flavour === undefined || slotPods === undefined) return pod;
  const { metadata, spec } = pod;
  const [agent, ...others] = spec.containers;
  if (agent === undefined) return pod;
  const { securityContext } = agent;
  const frame = { ...(securityContext === undefined ? {} : { securityContext }), resources: SMALL };
  const carry: ContainerSpec = {
    name: 'carry-agent',
    image: slotPods.image,
    imagePullPolicy: slotPods.pullPolicy,
    command: ['/bin/sh', '/app/bin/carry-agent.sh', '/app', CARRIED_FOLDER],
    volumeMounts: [{ name: CARRIED, mountPath: CARRIED_FOLDER }],
    ...frame,
  };
  const carried = { name: CARRIED, mountPath: CARRIED_FOLDER, readOnly: true };
  const check: ContainerSpec = {
    name: 'check-image',
    image: flavour,
    imagePullPolicy: 'IfNotPresent',
    command: ['/bin/sh', RUN_SCRIPT, 'check'],
    volumeMounts: [carried],
    ...frame,
  };
  const engine: ContainerSpec = {
    ...agent,
    image: flavour,
    imagePullPolicy: 'IfNotPresent',
    command: ['/bin/sh', RUN_SCRIPT, 'agent'],
    env: [...(agent.env ?? []), ...CARRIED_ENVIRONMENT],
    volumeMounts: [...(agent.volumeMounts ?? []), carried],
  };
  return {
    ...pod,
    metadata: { ...metadata, annotations: { ...metadata.annotations, [FLAVOUR_ANNOTATION]: flavour } },
    spec: {
      ...spec,
      initContainers: [carry, check],
      containers: [engine, ...others],
      volumes: [...(spec.volumes ?? []), { name: CARRIED, emptyDir: {} }],
    },
  };
}

/** They copy files and ask for a version. */
const SMALL = { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '512Mi' } };
