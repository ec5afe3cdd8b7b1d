// What `apply` sends: a merge patch (RFC 7386) from what was applied last, what is there, and what is wanted now.
// Fields that somebody else set stay. Keeps kubectl's annotation, so that both tools can take turns. Pure.

export const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

type Json = unknown;
type JsonObject = Readonly<Record<string, Json>>;

/** The patch that turns `live` into `wanted`; an empty object when nothing differs. */
export function threeWayPatch(lastApplied: JsonObject, live: JsonObject, wanted: JsonObject): JsonObject {
  const gone = Object.keys(lastApplied).filter((key) => !(key in wanted) && key in live);
  const changed = Object.entries(wanted).flatMap(([key, value]) => {
    const change = patchField(lastApplied[key], live[key], value);
    return change === undefined ? [] : [[key, change.value] as const];
  });
  return Object.fromEntries([...gone.map((key) => [key, null] as const), ...changed]);
}

/** What to send for one field; undefined when it is as wanted. */
function patchField(last: Json, before: Json, wanted: Json): { value: Json } | undefined {
  if (!isObject(wanted)) return sameJson(before, wanted) ? undefined : { value: wanted };
  const inner = threeWayPatch(asObject(last), asObject(before), wanted);
  return Object.keys(inner).length === 0 && isObject(before) ? undefined : { value: inner };
}

/** `wanted` with the annotation that remembers it. */
export function withLastApplied(wanted: JsonObject): JsonObject {
  const metadata = asObject(wanted.metadata);
  const annotations = asObject(metadata.annotations);
  const { [LAST_APPLIED]: _, ...own } = annotations;
  const plain = { ...wanted, metadata: { ...metadata, ...(Object.keys(own).length > 0 ? { annotations: own } : {}) } };
  return {
    ...wanted,
    metadata: { ...metadata, annotations: { ...own, [LAST_APPLIED]: `${JSON.stringify(plain)}\n` } },
  };
}

/** What the annotation of a live object remembers; an empty object when it has none. */
export function readLastApplied(live: JsonObject): JsonObject {
  const metadata = asObject(live.metadata);
  const annotations = asObject(metadata.annotations);
  const text = annotations[LAST_APPLIED];
  if (typeof text !== 'string') return {};
  try {
    const parsed: unknown = JSON.parse(text);
    return asObject(parsed);
  } catch {
    return {};
  }
}

function asObject(value: Json): JsonObject {
  return isObject(value) ? value : {};
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function sameJson(a: Json, b: Json): boolean {
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, at) => sameJson(item, b[at]));
  if (isObject(a) && isObject(b)) {
    const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
    return [...keys].every((key) => sameJson(a[key], b[key]));
  }
  return a === b;
}
