// Every object of a cluster by kind and name, so that what an uninstall leaves behind can be seen. Leaves out what the
// cluster itself writes all the time.
import type { Site } from './site.ts';

/** Written by the cluster about itself; EndpointSlices of Services that are gone take their time to go. */
const RESTLESS =
  /^(events(\.events\.k8s\.io)?|leases\.coordination\.k8s\.io|componentstatuses|endpoints|endpointslices\.discovery\.k8s\.io)$/;

export async function takeCensus({ kubectl }: Site): Promise<Set<string>> {
  const kinds = (await kubectl('api-resources', '--verbs=list', '-o', 'name'))
    .split('\n')
    .filter((kind) => kind !== '');
  const counted = kinds.filter((kind) => !RESTLESS.test(kind));
  const columns = 'custom-columns=K:.kind,S:.metadata.namespace,N:.metadata.name';
  const text = await kubectl('get', counted.join(','), '--all-namespaces', '--no-headers', '-o', columns);
  return new Set(
    text
      .split('\n')
      .map((line) => line.trim().replaceAll(/\s+/g, ' '))
      .filter((line) => line !== ''),
  );
}

/** What the second has and the first has not. */
export function newSince(before: ReadonlySet<string>, after: ReadonlySet<string>): string[] {
  return [...after].filter((line) => !before.has(line));
}
