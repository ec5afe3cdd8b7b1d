// What a URL path of the API asks for: a kind's collection, one object, or a part of one. Knows the shape of paths only;
// whether the kind exists is asked elsewhere.

export interface ResourcePath {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  /** Undefined: all namespaces, or a kind of the whole cluster. */
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

const namespaceParts = new Set(['status', 'finalize']);

/** Undefined when the path is not of a resource. Throws URIError for bad escapes. */
export function parseResourcePath(pathname: string): ResourcePath | undefined {
  const [root, ...steps] = pathname.split('/').slice(1).map(decodeURIComponent);
  const groupSteps = root === 'api' ? 1 : root === 'apis' ? 2 : 0;
  if (groupSteps === 0 || steps.length <= groupSteps || steps.includes('')) return undefined;
  const [group, version] = groupSteps === 1 ? ['', steps[0]] : [steps[0], steps[1]];
  const rest = steps.slice(groupSteps);
  const [plural, name, subresource, ...more] = isNamespaced(rest) ? rest.slice(2) : rest;
  if (group === undefined || version === undefined || plural === undefined || more.length > 0) return undefined;
  return { group, version, plural, namespace: isNamespaced(rest) ? rest[1] : undefined, name, subresource };
}

/** `namespaces/x/pods` is in a namespace; `namespaces/x` and `namespaces/x/status` are the namespace itself. */
function isNamespaced(steps: readonly string[]): boolean {
  return steps[0] === 'namespaces' && steps.length >= 3 && !(steps.length === 3 && namespaceParts.has(steps[2] ?? ''));
}
