// Finds fields that a kind does not have. A real API server drops them silently unless asked to be strict; a person who
// wrote `sleepAfterSecond` wants to hear of it. Looks at names only.
import { type Problem, renderPath } from './issue-sentences.ts';
import type { StructuralSchema } from './structural-schema.ts';
import { isOurKind, schemaOf } from './validate-object.ts';

/** What ObjectMeta has; what is inside is Kubernetes' own business. */
const metadataFields = [
  'name',
  'generateName',
  'namespace',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'labels',
  'annotations',
  'finalizers',
  'ownerReferences',
  'managedFields',
  'selfLink',
];
const metadataSchema: StructuralSchema = {
  type: 'object',
  properties: Object.fromEntries(
    metadataFields.map((name) => [name, { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }]),
  ),
};

/** A near miss is named when this many letters or fewer are wrong. */
const EDITS_MAX = 3;

/** One problem for each field that the kind does not have; empty for kinds that are not ours. */
export function findUnknownFields(kind: string, object: unknown): Problem[] {
  if (!isOurKind(kind)) return [];
  const schema = schemaOf(kind);
  const whole = { ...schema, properties: { ...schema.properties, metadata: metadataSchema } };
  return walk(whole, object, []);
}

function walk(schema: StructuralSchema, value: unknown, path: readonly PropertyKey[]): Problem[] {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined ? [] : value.flatMap((item, at) => walk(items, item, [...path, at]));
  }
  const { properties } = schema;
  if (typeof value !== 'object' || value === null || properties === undefined) return [];
  return Object.entries(value).flatMap(([key, member]) => {
    const inner = Object.hasOwn(properties, key) ? properties[key] : undefined;
    if (inner !== undefined) return walk(inner, member, [...path, key]);
    return [{ path: renderPath([...path, key]), message: unknownSentence(key, Object.keys(properties)) }];
  });
}

function unknownSentence(key: string, known: readonly string[]): string {
  const near = known
    .map((name) => ({ name, edits: countEdits(key.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, edits }) => edits <= Math.min(EDITS_MAX, Math.floor(name.length / 2)))
    .sort((a, b) => a.edits - b.edits)[0];
  return near === undefined
    ? `is not a field; there are ${known.join(', ')}`
    : `is not a field; did you mean ${near.name}?`;
}

/** Levenshtein distance, row by row. Field names are short. */
function countEdits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [i, letter] of [...a.slice(0, SHOWN_MAX)].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      const replaced = (row[j] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

/** Longer keys are nobody's typing mistake; this bounds the work. */
const SHOWN_MAX = 64;
