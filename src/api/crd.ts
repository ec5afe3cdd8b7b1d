// Our kinds as an API server serves them: names, schema, columns, subresources, rules. The embedded API server is built
// from these definitions, and the CRDs of the chart are rendered from them, so both serve the same kinds.
import { stringify } from 'yaml';
import { API_GROUP, API_VERSION_NAME } from './group.ts';
import type { Problem } from './issue-sentences.ts';
import type { StructuralSchema } from './structural-schema.ts';
import { type OurKind, schemaOf, validateObject } from './validate-object.ts';

export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  readonly jsonPath: string;
  readonly description: string;
}

export interface ScalePaths {
  readonly specReplicasPath: string;
  readonly statusReplicasPath: string;
  readonly labelSelectorPath: string;
}

export interface KindDefinition {
  readonly group: string;
  readonly version: string;
  readonly kind: OurKind;
  readonly plural: string;
  readonly singular: string;
  readonly listKind: string;
  readonly shortNames: readonly string[];
  readonly namespaced: true;
  readonly schema: StructuralSchema;
  readonly printerColumns: readonly PrinterColumn[];
  readonly subresources: { readonly status: true; readonly scale?: ScalePaths };
  /** Schema, rules and names in one; the sentences are those of the CEL rules. */
  validate(object: unknown, old?: unknown): readonly Problem[];
}

interface KindRow {
  readonly kind: OurKind;
  readonly shortName: string;
  readonly columns: readonly PrinterColumn[];
  readonly scale?: ScalePaths;
}

const integer = (name: string, jsonPath: string, description: string): PrinterColumn => ({
  name,
  type: 'integer',
  jsonPath,
  description,
});
const text = (name: string, jsonPath: string, description: string): PrinterColumn => ({
  name,
  type: 'string',
  jsonPath,
  description,
});
const age: PrinterColumn = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'When the object was made.',
};

const rows: readonly KindRow[] = [
  {
    kind: 'Pool',
    shortName: 'pool',
    columns: [
      integer('Slots', '.status.slots', 'Slots that exist.'),
      integer('Awake', '.status.awake', 'Instances that are awake.'),
      integer('Asleep', '.status.asleep', 'Instances that are asleep.'),
      integer('Spare', '.status.spare', 'Slots in which nothing is resident.'),
      age,
    ],
  },
  {
    kind: 'Model',
    shortName: 'mdl',
    columns: [
      text('Ready', '.status.conditions[?(@.type=="Ready")].status', 'Whether requests can be served.'),
      text('Rung', '.status.rung', 'How warm the warmest instance is.'),
      text('Stable', '.status.stableRevision', 'The revision that answers.'),
      text('Candidate', '.status.candidateRevision', 'The revision that takes over next.'),
      integer('Awake', '.status.awake', 'Instances that are awake.'),
      integer('Asleep', '.status.asleep', 'Instances that are asleep.'),
      age,
    ],
    scale: {
      specReplicasPath: '.spec.scaling.minAwake',
      statusReplicasPath: '.status.awake',
      labelSelectorPath: '.status.selector',
    },
  },
  {
    kind: 'ModelRevision',
    shortName: 'mrev',
    columns: [
      text('Digest', '.spec.digest', 'The hash of everything that is pinned.'),
      text(
        'Pinned',
        '.status.conditions[?(@.type=="PinVerified")].status',
        'Whether what was loaded is what is pinned.',
      ),
      text('Engine', '.spec.engine.name', 'The model server.'),
      age,
    ],
  },
];

/** The definitions of all our kinds. */
export function resourceDefinitions(): readonly KindDefinition[] {
  return rows.map(({ kind, shortName, columns, scale }) => {
    const singular = kind.toLowerCase();
    return {
      group: API_GROUP,
      version: API_VERSION_NAME,
      kind,
      plural: `${singular}s`,
      singular,
      listKind: `${kind}List`,
      // `pool` is the singular already; Kubernetes refuses to take a name twice.
      shortNames: shortName === singular ? [] : [shortName],
      namespaced: true,
      schema: schemaOf(kind),
      printerColumns: columns,
      subresources: { status: true, ...(scale === undefined ? {} : { scale }) },
      validate: (object, old) => validateObject(kind, object, old),
    };
  });
}

/** The CustomResourceDefinition as a plain object, for YAML or JSON. */
export function renderCrd(definition: KindDefinition): object {
  const { group, version, kind, plural, singular, listKind, shortNames } = definition;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      names: { kind, listKind, plural, singular, ...(shortNames.length > 0 ? { shortNames } : {}) },
      scope: 'Namespaced',
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          additionalPrinterColumns: definition.printerColumns,
          subresources: {
            status: {},
            ...(definition.subresources.scale ? { scale: definition.subresources.scale } : {}),
          },
          schema: { openAPIV3Schema: definition.schema },
        },
      ],
    },
  };
}

/** The CustomResourceDefinition as YAML. */
export function renderCrdYaml(definition: KindDefinition): string {
  return stringify(renderCrd(definition), { lineWidth: 120, aliasDuplicateObjects: false });
}
