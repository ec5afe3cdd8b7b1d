// What the server offers, for clients that ask: versions, groups, resources. Built once; kubectl keeps it for hours.
import type { ResourceDefinition } from './definition.ts';
import type { KindRegistry } from './kind-registry.ts';
import { reviewKinds } from './reviews.ts';

/** The Kubernetes release whose behaviour is followed where clients look at the version. */
const RELEASE = { major: '1', minor: '33', gitVersion: 'v1.33.0+stoker' } as const;

const writable = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const part = ['get', 'patch', 'update'];

interface ResourceRow {
  readonly name: string;
  readonly [field: string]: unknown;
}

/** By path. */
export function renderDiscovery(registry: KindRegistry): ReadonlyMap<string, object> {
  const groups = groupsOf(registry);
  const pages = new Map<string, object>();
  pages.set('/version', {
    ...RELEASE,
    platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  });
  pages.set('/api', {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [],
  });
  pages.set('/apis', { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map(renderGroup) });
  pages.set('/api/v1', renderResources('v1', coreRows(registry)));
  for (const group of groups) {
    pages.set(`/apis/${group.name}`, { kind: 'APIGroup', apiVersion: 'v1', ...renderGroup(group) });
    for (const version of group.versions)
      pages.set(
        `/apis/${group.name}/${version}`,
        renderResources(`${group.name}/${version}`, groupRows(registry, group.name, version)),
      );
  }
  return pages;
}

interface Group {
  readonly name: string;
  readonly versions: readonly string[];
}

function groupsOf({ definitions }: KindRegistry): readonly Group[] {
  const versions = new Map<string, Set<string>>();
  const note = (group: string, version: string) => versions.set(group, (versions.get(group) ?? new Set()).add(version));
  for (const { group, version } of definitions) if (group !== '') note(group, version);
  for (const { group } of reviewKinds) note(group, 'v1');
  return [...versions].map(([name, set]) => ({ name, versions: [...set] }));
}

function renderGroup({ name, versions }: Group): object {
  const rows = versions.map((version) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions: rows, preferredVersion: rows[0] };
}

function renderResources(groupVersion: string, resources: readonly ResourceRow[]): object {
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources };
}

function coreRows(registry: KindRegistry): readonly ResourceRow[] {
  const tokens = {
    name: 'serviceaccounts/token',
    singularName: '',
    namespaced: true,
    group: 'authentication.k8s.io',
    version: 'v1',
    kind: 'TokenRequest',
    verbs: ['create'],
  };
  return [...groupRows(registry, '', 'v1'), tokens];
}

function groupRows({ definitions }: KindRegistry, group: string, version: string): readonly ResourceRow[] {
  const kinds = definitions.filter((one) => one.group === group && one.version === version).flatMap(kindRows);
  const reviews = reviewKinds
    .filter((one) => one.group === group)
    .map(({ plural, kind }) => ({
      name: plural,
      singularName: kind.toLowerCase(),
      namespaced: false,
      kind,
      verbs: ['create'],
    }));
  return [...kinds, ...reviews];
}

function kindRows(definition: ResourceDefinition): ResourceRow[] {
  const { plural, singular, namespaced, kind, shortNames, categories = [], subresources } = definition;
  const main = {
    name: plural,
    singularName: singular,
    namespaced,
    kind,
    verbs: writable,
    ...(shortNames.length > 0 ? { shortNames } : {}),
    ...(categories.length > 0 ? { categories } : {}),
  };
  const status = { name: `${plural}/status`, singularName: '', namespaced, kind, verbs: part };
  const scale = {
    name: `${plural}/scale`,
    singularName: '',
    namespaced,
    group: 'autoscaling',
    version: 'v1',
    kind: 'Scale',
    verbs: part,
  };
  return [
    main,
    ...(subresources.status === true ? [status] : []),
    ...(subresources.scale === undefined ? [] : [scale]),
  ];
}
