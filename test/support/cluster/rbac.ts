// Who Stoker's parts are on a cluster and what they may do: the ServiceAccounts and the rules of the chart, as objects of
// one namespace. The controller's rules name every verb that it uses; tests run it with nothing more.

export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

export const controllerRules: readonly Rule[] = [
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
  { apiGroups: ['stoker.dev'], resources: ['pools/finalizers', 'models/finalizers'], verbs: ['update'] },
  { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'] },
  { apiGroups: [''], resources: ['secrets'], verbs: ['create'] },
  { apiGroups: [''], resources: ['secrets'], resourceNames: ['stoker-slot-keys'], verbs: ['get'] },
  { apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] },
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create'] },
  {
    apiGroups: ['coordination.k8s.io'],
    resources: ['leases'],
    resourceNames: ['stoker-controller'],
    verbs: ['get', 'patch'],
  },
];

interface Placed {
  /** Where it is created. */
  readonly path: string;
  readonly body: object;
}

export function renderIdentities(namespace: string): readonly Placed[] {
  const rbac = 'rbac.authorization.k8s.io';
  const core = `/api/v1/namespaces/${namespace}`;
  const subjects = [{ kind: 'ServiceAccount', name: 'stoker-controller', namespace }];
  const account = (name: string): Placed => ({
    path: `${core}/serviceaccounts`,
    body: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name }, automountServiceAccountToken: false },
  });
  const named = (kind: string, name: string, rest: object) => ({
    apiVersion: `${rbac}/v1`,
    kind,
    metadata: { name },
    ...rest,
  });
  const roleRef = { apiGroup: rbac, kind: 'Role', name: 'stoker-controller' };
  const delegator = { apiGroup: rbac, kind: 'ClusterRole', name: 'system:auth-delegator' };
  const inNamespace = `/apis/${rbac}/v1/namespaces/${namespace}`;
  return [
    account('stoker-controller'),
    account('stoker-router'),
    account('stoker-slot'),
    { path: `${inNamespace}/roles`, body: named('Role', 'stoker-controller', { rules: controllerRules }) },
    {
      path: `${inNamespace}/rolebindings`,
      body: named('RoleBinding', 'stoker-controller', { roleRef, subjects }),
    },
    {
      path: `/apis/${rbac}/v1/clusterrolebindings`,
      body: named('ClusterRoleBinding', `stoker-auth-delegator-${namespace}`, { roleRef: delegator, subjects }),
    },
  ];
}
