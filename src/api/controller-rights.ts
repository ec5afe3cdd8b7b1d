// What the controller has to be allowed in its namespace: every verb that it uses, and nothing more. The Role of the chart
// says the same (a test compares them); the controller and `stoker doctor` ask the cluster for each of these. Asks nobody
// itself.

export interface AccessRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

/** One thing that somebody may or may not do. */
export interface Access {
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly name?: string;
  readonly verb: string;
}

export const CONTROLLER_ACCOUNT = 'stoker-controller';

export const controllerRules: readonly AccessRule[] = [
  { apiGroups: ['stoker.dev'], resources: ['pools', 'models'], verbs: ['get', 'list', 'watch', 'patch'] },
  {
    apiGroups: ['stoker.dev'],
    resources: ['modelrevisions'],
    verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'],
  },
  {
    apiGroups: ['stoker.dev'],
    resources: ['pools/status', 'models/status', 'modelrevisions/status'],
    verbs: ['patch'],
  },
  // A server with OwnerReferencesPermissionEnforcement wants this of who makes an owned object.
  {
    apiGroups: ['stoker.dev'],
    resources: ['pools/finalizers', 'models/finalizers', 'modelrevisions/finalizers'],
    verbs: ['update'],
  },
  { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'] },
  { apiGroups: [''], resources: ['secrets'], verbs: ['create'] },
  // One for each Model, with what was learned of it. Their names are those of the Models, so no list can name them.
  { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'create', 'patch'] },
  { apiGroups: [''], resources: ['secrets'], resourceNames: ['stoker-link-tls'], verbs: ['get', 'patch'] },
  { apiGroups: [''], resources: ['services'], resourceNames: ['stoker-link'], verbs: ['get'] },
  { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['create'] },
  {
    apiGroups: ['discovery.k8s.io'],
    resources: ['endpointslices'],
    resourceNames: ['stoker-link'],
    verbs: ['get', 'patch', 'delete'],
  },
  { apiGroups: [''], resources: ['secrets'], resourceNames: ['stoker-slot-keys'], verbs: ['get', 'patch'] },
  { apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] },
  { apiGroups: ['policy'], resources: ['poddisruptionbudgets'], verbs: ['get', 'create', 'patch'] },
  { apiGroups: ['networking.k8s.io'], resources: ['networkpolicies'], verbs: ['get', 'create', 'patch', 'delete'] },
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create'] },
  {
    apiGroups: ['coordination.k8s.io'],
    resources: ['leases'],
    resourceNames: ['stoker-controller'],
    verbs: ['get', 'patch'],
  },
];

/** Asks who a link token belongs to: of the whole cluster, by the binding to system:auth-delegator. */
export const reviewRight: Access = { group: 'authentication.k8s.io', resource: 'tokenreviews', verb: 'create' };

/** Every single thing that the rules allow. */
export function accessesOf(rules: readonly AccessRule[]): Access[] {
  return rules.flatMap(({ apiGroups, resources, resourceNames = [undefined], verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((path) =>
        resourceNames.flatMap((name) => verbs.map((verb) => accessOf({ group, path, name, verb }))),
      ),
    ),
  );
}

function accessOf(one: { group: string; path: string; name: string | undefined; verb: string }): Access {
  const [resource = '', subresource] = one.path.split('/');
  return {
    group: one.group,
    resource,
    verb: one.verb,
    ...(subresource === undefined ? {} : { subresource }),
    ...(one.name === undefined ? {} : { name: one.name }),
  };
}

/** What is named in one line; the rest is counted. */
const NAMED_MAX = 6;

/** `create pods, patch pools/status.stoker.dev and 3 more`. */
export function renderAccesses(accesses: readonly Access[]): string {
  const words = accesses.map(({ verb, group, resource, subresource, name }) => {
    const path = `${resource}${subresource === undefined ? '' : `/${subresource}`}${group === '' ? '' : `.${group}`}`;
    return `${verb} ${path}${name === undefined ? '' : ` ${name}`}`;
  });
  const more = words.length - NAMED_MAX;
  return `${words.slice(0, NAMED_MAX).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
