// Pods as this server keeps them: what the controller writes and the node runs. Fields of Kubernetes that the local node
// has no use for are kept as they come.
import { isDeepStrictEqual } from 'node:util';
import type { ApiObject, Problem, ResourceDefinition, Schema } from '../definition.ts';
import { renderAge } from '../human-duration.ts';
import { asObject, asText, isObject, type JsonObject, member, valueAt } from '../json-value.ts';
import { anything, count, flag, list, object, text, textMap, time, wholeObject } from './schema-parts.ts';

const GRACE_SECONDS = 30;

const quantity: Schema = { 'x-kubernetes-int-or-string': true, description: 'A quantity, for example 2 or 512Mi.' };
const quantities = (description: string): Schema => ({
  type: 'object',
  nullable: true,
  additionalProperties: quantity,
  description,
});

const envVar = object(
  'One environment variable.',
  {
    name: text('Its name.', { minLength: 1 }),
    value: text('Its value.'),
    valueFrom: object('Where its value comes from.', {
      fieldRef: object(
        'A field of the Pod.',
        { apiVersion: text('v1.'), fieldPath: text('The field, for example metadata.name.') },
        ['fieldPath'],
      ),
      secretKeyRef: object(
        'A key of a Secret.',
        { name: text('The Secret.'), key: text('The key.'), optional: flag('Whether it may be missing.') },
        ['key'],
      ),
      configMapKeyRef: object(
        'A key of a ConfigMap.',
        { name: text('The ConfigMap.'), key: text('The key.'), optional: flag('Whether it may be missing.') },
        ['key'],
      ),
    }),
  },
  ['name'],
);

const probe = object('How to find out.', {
  httpGet: object(
    'By an HTTP request that is answered with 200 to 399.',
    {
      path: text('The path.'),
      port: { 'x-kubernetes-int-or-string': true, description: 'Number or name of the port.' },
      host: text('The host; the Pod’s address when unset.'),
      scheme: text('HTTP or HTTPS.'),
      httpHeaders: list(anything('One header.'), 'Headers of the request.'),
    },
    ['port'],
  ),
  exec: anything('By a command.'),
  tcpSocket: anything('By a connection.'),
  grpc: anything('By the gRPC health protocol.'),
  initialDelaySeconds: count('Seconds before the first look.'),
  periodSeconds: count('Seconds between looks.'),
  timeoutSeconds: count('Seconds until a look counts as failed.'),
  successThreshold: count('Good looks in a row that make it good.'),
  failureThreshold: count('Bad looks in a row that make it bad.'),
  terminationGracePeriodSeconds: count('Seconds to end after a failed liveness probe.'),
});

const container: Schema = {
  ...object(
    'One container.',
    {
      name: text('Its name.', { minLength: 1, maxLength: 63 }),
      image: text('Its image.'),
      imagePullPolicy: text('When the image is pulled.'),
      command: list(text('One argument.'), 'The program and its first arguments.'),
      args: list(text('One argument.'), 'Further arguments.'),
      workingDir: text('The folder it starts in.'),
      env: list(envVar, 'Its environment.'),
      envFrom: list(anything('A Secret or ConfigMap.'), 'Whole objects as environment.'),
      ports: list(
        object(
          'One port.',
          {
            name: text('Its name.'),
            containerPort: count('Its number.'),
            hostPort: count('The port on the node.'),
            hostIP: text('The address on the node.'),
            protocol: text('TCP, UDP or SCTP.'),
          },
          ['containerPort'],
        ),
        'The ports it listens on.',
      ),
      resources: object('What it asks for.', {
        requests: quantities('What it needs.'),
        limits: quantities('What it may have.'),
        claims: list(anything('One claim.'), 'Resource claims.'),
      }),
      volumeMounts: list(
        object(
          'One mount.',
          {
            name: text('The volume.'),
            mountPath: text('Where it is found.'),
            readOnly: flag('Whether it is read only.'),
            subPath: text('A part of the volume.'),
            subPathExpr: text('A part of the volume, with variables.'),
            mountPropagation: text('How mounts spread.'),
            recursiveReadOnly: text('Whether mounts below are read only.'),
          },
          ['name', 'mountPath'],
        ),
        'Its volumes.',
      ),
      readinessProbe: probe,
      livenessProbe: probe,
      startupProbe: probe,
    },
    ['name'],
  ),
  'x-kubernetes-preserve-unknown-fields': true,
};

const spec: Schema = {
  ...object(
    'What runs.',
    {
      containers: {
        type: 'array',
        items: container,
        minItems: 1,
        description: 'The containers.',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
      },
      initContainers: list(container, 'Containers that run before.'),
      volumes: list(
        {
          ...object('One volume.', { name: text('Its name.', { minLength: 1 }) }, ['name']),
          'x-kubernetes-preserve-unknown-fields': true,
        },
        'The volumes.',
      ),
      restartPolicy: text('When containers are started again.', {
        enum: ['Always', 'OnFailure', 'Never'],
        default: 'Always',
      }),
      terminationGracePeriodSeconds: { ...count('Seconds that containers have to end.'), default: GRACE_SECONDS },
      serviceAccountName: text('Who the Pod is.', { default: 'default' }),
      automountServiceAccountToken: flag('Whether it gets an API token.'),
      nodeName: text('The node that runs it.'),
      nodeSelector: textMap('Labels of nodes that may run it.'),
    },
    ['containers'],
  ),
  'x-kubernetes-preserve-unknown-fields': true,
};

const status: Schema = {
  ...object('What the node observed.', {
    phase: text('The Pod in one word.', { enum: ['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'] }),
    reason: text('One CamelCase word.'),
    message: text('A sentence for people.'),
    podIP: text('Its address.'),
    hostIP: text('The node’s address.'),
    startTime: time('When the node took it.'),
    conditions: list(anything('One condition.'), 'Observed facts.'),
    containerStatuses: list(anything('One container.'), 'Its containers.'),
  }),
  'x-kubernetes-preserve-unknown-fields': true,
};

export const podDefinition: ResourceDefinition = {
  group: '',
  version: 'v1',
  kind: 'Pod',
  plural: 'pods',
  singular: 'pod',
  shortNames: ['po'],
  categories: ['all'],
  namespaced: true,
  schema: wholeObject('One or more containers that run together on one node.', { spec, status }, ['spec']),
  printerColumns: [
    { name: 'Ready', type: 'string', description: 'Containers that are ready, of all.', cell: readyCell },
    { name: 'Status', type: 'string', description: 'The Pod in one word.', cell: statusCell },
    { name: 'Restarts', type: 'string', description: 'Starts of containers after the first.', cell: restartsCell },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'When the Pod was made.' },
    { name: 'IP', type: 'string', jsonPath: '.status.podIP', priority: 1, description: 'Its address.' },
    { name: 'Node', type: 'string', jsonPath: '.spec.nodeName', priority: 1, description: 'The node that runs it.' },
  ],
  subresources: { status: true },
  selectableFields: ['spec.nodeName', 'spec.restartPolicy', 'spec.serviceAccountName', 'status.phase', 'status.podIP'],
  validate: judgeChange,
  builtIn: {
    countsGenerations: true,
    unconditionalUpdate: true,
    initialStatus: { phase: 'Pending' },
    graceSeconds: (pod) =>
      isFinished(pod) ? 0 : Number(member(pod.spec, 'terminationGracePeriodSeconds') ?? GRACE_SECONDS),
  },
};

function isFinished(pod: ApiObject): boolean {
  const phase = member(pod.status, 'phase');
  return phase === 'Succeeded' || phase === 'Failed';
}

/** A Pod is what it is: only images may change, and the node is chosen once. */
function judgeChange(pod: unknown, old?: unknown): readonly Problem[] {
  if (old === undefined) return [];
  const hadNode = (asText(valueAt(old, ['spec', 'nodeName'])) ?? '') !== '';
  if (isDeepStrictEqual(fixedSpec(pod, hadNode), fixedSpec(old, hadNode))) return [];
  return [
    {
      path: 'spec',
      message: 'pod updates may not change fields other than the images of containers and the node when there is none',
    },
  ];
}

function fixedSpec(pod: unknown, withNode: boolean): JsonObject {
  const { nodeName, containers, ...rest } = asObject(member(pod, 'spec'));
  const fixed = (Array.isArray(containers) ? containers : []).map((item) => ({ ...asObject(item), image: '' }));
  return { ...rest, containers: fixed, ...(withNode ? { nodeName } : {}) };
}

function containerStatuses(pod: ApiObject): readonly JsonObject[] {
  const statuses = member(pod.status, 'containerStatuses');
  return Array.isArray(statuses) ? statuses.filter(isObject) : [];
}

function readyCell(pod: ApiObject): string {
  const containers = valueAt(pod, ['spec', 'containers']);
  const ready = containerStatuses(pod).filter((one) => one.ready === true).length;
  return `${ready}/${Array.isArray(containers) ? containers.length : 0}`;
}

/** The phase, or what is more telling: why a container waits or ended, or that the Pod is going. */
function statusCell(pod: ApiObject): string {
  if (pod.metadata.deletionTimestamp !== undefined) return 'Terminating';
  const reasons = containerStatuses(pod).flatMap((one) => {
    const reason =
      asText(valueAt(one.state, ['waiting', 'reason'])) ?? asText(valueAt(one.state, ['terminated', 'reason']));
    return reason === undefined ? [] : [reason];
  });
  const { reason, phase } = asObject(pod.status);
  return reasons[0] ?? asText(reason) ?? asText(phase) ?? 'Unknown';
}

function restartsCell(pod: ApiObject, nowMs: number): string {
  const statuses = containerStatuses(pod);
  const restarts = statuses.reduce((sum, one) => sum + Number(one.restartCount ?? 0), 0);
  const ended = statuses.flatMap((one) => asText(valueAt(one.lastState, ['terminated', 'finishedAt'])) ?? []);
  const age = renderAge(ended.sort().at(-1), nowMs);
  return restarts > 0 && age !== undefined ? `${restarts} (${age} ago)` : String(restarts);
}
