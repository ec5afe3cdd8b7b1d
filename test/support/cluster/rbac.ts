// Who Stoker's parts are on a cluster and what they may do: the ServiceAccounts and the rules of the chart, as objects of
// one namespace. The controller's rules name every verb that it uses; tests run it with nothing more.

import { controllerRules } from '../../../src/api/controller-rights.ts';

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
    account('stoker-stager'),
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
