// The other kinds of Kubernetes that are served: Namespace, ServiceAccount, Lease. And the table of all built-in kinds.
import type { PrinterColumn, ResourceDefinition, Schema } from '../definition.ts';
import { configMapDefinition, secretDefinition } from './configuration.ts';
import { eventDefinition } from './event.ts';
import { podDefinition } from './pod.ts';
import { anything, flag, list, object, text, wholeObject } from './schema-parts.ts';

const age: PrinterColumn = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'When it was made.',
};

const namespaceDefinition: ResourceDefinition = {
  group: '',
  version: 'v1',
  kind: 'Namespace',
  plural: 'namespaces',
  singular: 'namespace',
  shortNames: ['ns'],
  namespaced: false,
  schema: wholeObject('A place for names.', {
    spec: object('What it waits for.', { finalizers: list(text('A name.'), 'Who has to finish something first.') }),
    status: object('What is observed.', {
      phase: text('Active or Terminating.'),
      conditions: list(anything('One condition.'), 'Observed facts.'),
    }),
  }),
  printerColumns: [
    { name: 'Status', type: 'string', jsonPath: '.status.phase', description: 'Active or Terminating.' },
    age,
  ],
  subresources: { status: true },
  defaulting: (namespace) => ({ ...namespace, spec: { finalizers: ['kubernetes'] } }),
  builtIn: {
    countsGenerations: false,
    unconditionalUpdate: true,
    namedByLabel: true,
    holdsObjects: true,
    initialStatus: { phase: 'Active' },
  },
};

const serviceAccountDefinition: ResourceDefinition = {
  group: '',
  version: 'v1',
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  singular: 'serviceaccount',
  shortNames: ['sa'],
  namespaced: true,
  schema: wholeObject('Who a Pod is.', {
    secrets: list(anything('One Secret.'), 'Secrets that Pods may mount.'),
    imagePullSecrets: list(anything('One Secret.'), 'Secrets for pulling images.'),
    automountServiceAccountToken: flag('Whether Pods get an API token.'),
  }),
  printerColumns: [age],
  subresources: {},
  builtIn: { countsGenerations: false, unconditionalUpdate: true },
};

/** metav1.MicroTime: exactly six digits after the second. */
const microTime = (description: string): Schema => ({
  type: 'string',
  nullable: true,
  pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{6}(Z|[+-]\\d{2}:\\d{2})$',
  maxLength: 40,
  description,
});

const leaseDefinition: ResourceDefinition = {
  group: 'coordination.k8s.io',
  version: 'v1',
  kind: 'Lease',
  plural: 'leases',
  singular: 'lease',
  shortNames: [],
  namespaced: true,
  schema: wholeObject('Who leads, and until when.', {
    spec: object('The lease.', {
      holderIdentity: text('Who holds it.'),
      leaseDurationSeconds: {
        type: 'integer',
        format: 'int32',
        minimum: 1,
        description: 'How long it holds without renewal.',
      },
      acquireTime: microTime('When it was taken.'),
      renewTime: microTime('When it was renewed last.'),
      leaseTransitions: { type: 'integer', format: 'int32', minimum: 0, description: 'How often it changed hands.' },
      strategy: text('How leaders are chosen.'),
      preferredHolder: text('Who should take it next.'),
    }),
  }),
  printerColumns: [
    { name: 'Holder', type: 'string', jsonPath: '.spec.holderIdentity', description: 'Who holds it.' },
    age,
  ],
  subresources: {},
  builtIn: { countsGenerations: false, unconditionalUpdate: false },
};

export const builtInKinds: readonly ResourceDefinition[] = [
  namespaceDefinition,
  podDefinition,
  secretDefinition,
  configMapDefinition,
  eventDefinition,
  serviceAccountDefinition,
  leaseDefinition,
];
