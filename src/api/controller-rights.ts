// What the controller has to be allowed in its namespace: every verb that it uses, and nothing more. The Role of the chart
// says the same (a test compares them); `stoker doctor` asks the cluster for each of these.

export interface AccessRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
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
  { apiGroups: [''], resources: ['secrets', 'configmaps'], verbs: ['create'] },
  { apiGroups: [''], resources: ['secrets'], resourceNames: ['stoker-link-tls'], verbs: ['get', 'patch'] },
  { apiGroups: [''], resources: ['configmaps'], resourceNames: ['stoker-link-ca'], verbs: ['get', 'patch'] },
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
  { apiGroups: ['networking.k8s.io'], resources: ['networkpolicies'], verbs: ['get', 'create', 'patch'] },
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create'] },
  {
    apiGroups: ['coordination.k8s.io'],
    resources: ['leases'],
    resourceNames: ['stoker-controller'],
    verbs: ['get', 'patch'],
  },
];
