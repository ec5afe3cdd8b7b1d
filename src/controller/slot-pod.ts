// The Pod of a slot: what a new one looks like, and what an existing one says. Made once and never compared with a newer
// template, so that an upgrade of the controller leaves running slots alone.
import type { EnvVar, Pod } from '../api/kinds.ts';
import { kinds } from '../api/kinds.ts';
import { LINK_AUDIENCE } from '../api/link.ts';
import type { Pool } from '../api/pool.ts';
import { slotName } from '../lib/ids.ts';
import { SLOT_END_SECONDS } from './bounds.ts';

const POOL_LABEL = 'stoker.dev/pool';
/** Follows the model that is awake in the slot: what `Model.status.selector` selects. */
export const AWAKE_LABEL = 'stoker.dev/awake';

const TOKEN_FOLDER = '/var/run/stoker/link';
const TOKEN_SECONDS = 3600;
const LINK_URL_VARIABLE = 'STOKER_LINK_URL';

export interface SlotTemplate {
  readonly linkUrl: string;
  readonly serviceAccount: string;
  readonly release: string;
}

export function renderSlotPod(pool: Pool, serial: number, template: SlotTemplate): Pod {
  const { name, uid = '' } = pool.metadata;
  const { accelerator, maxDrainSeconds } = pool.spec;
  const amounts = { [accelerator.resourceName]: String(accelerator.countPerSlot) };
  return {
    apiVersion: kinds.Pod.apiVersion,
    kind: kinds.Pod.kind,
    metadata: {
      name: slotName(name, uid, serial),
      labels: {
        'app.kubernetes.io/name': 'stoker',
        'app.kubernetes.io/component': 'slot',
        [POOL_LABEL]: name,
      },
      ownerReferences: [
        {
          apiVersion: kinds.Pool.apiVersion,
          kind: kinds.Pool.kind,
          name,
          uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: {
      serviceAccountName: template.serviceAccount,
      automountServiceAccountToken: false,
      restartPolicy: 'Always',
      // The agent drains for all of maxDrainSeconds; ending its engines comes after.
      terminationGracePeriodSeconds: maxDrainSeconds + SLOT_END_SECONDS,
      containers: [
        {
          name: 'agent',
          image: `stoker.dev/stoker:${template.release}`,
          command: ['stoker', 'agent'],
          env: environmentOf(pool, template),
          ports: [
            { name: 'data', containerPort: 8000 },
            { name: 'admin', containerPort: 8001 },
          ],
          readinessProbe: { httpGet: { path: '/readyz', port: 'admin' }, periodSeconds: 5 },
          resources: { requests: amounts, limits: amounts },
          volumeMounts: [{ name: 'link-token', mountPath: TOKEN_FOLDER, readOnly: true }],
        },
      ],
      volumes: [
        {
          name: 'link-token',
          projected: {
            sources: [
              { serviceAccountToken: { audience: LINK_AUDIENCE, expirationSeconds: TOKEN_SECONDS, path: 'token' } },
            ],
          },
        },
      ],
    },
  };
}

function environmentOf(pool: Pool, template: SlotTemplate): EnvVar[] {
  return [
    { name: 'STOKER_POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
    { name: 'STOKER_POD_UID', valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
    { name: LINK_URL_VARIABLE, value: template.linkUrl },
    { name: 'STOKER_LINK_TOKEN_FILE', value: `${TOKEN_FOLDER}/token` },
    { name: 'STOKER_DRAIN_SECONDS', value: String(pool.spec.maxDrainSeconds) },
  ];
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
