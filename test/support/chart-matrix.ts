// The values that the charts are rendered with: what is on by default, everything at once, as little as possible, and what
// people change most. Every test that has to hold for a chart as such goes over these.
import type { RenderOptions } from './helm.ts';

export const monitoring = 'monitoring.coreos.com/v1';
export const gateway = 'gateway.networking.k8s.io/v1';

/** Everything that needs nothing but Kubernetes. */
const everythingBuiltIn: RenderOptions = {
  set: [
    'router.autoscaling.enabled=true',
    'router.autoscaling.targetInFlightRequests=20',
    'router.autoscaling.targetQueuedRequests=4',
    'controller.adminToken.existingSecret=admin',
    'monitoring.dashboard.enabled=true',
    'admissionPolicies.requireDigest=true',
    'tests.simulatedModel.enabled=true',
    'ingress.enabled=true',
    'controller.priorityClassName=system-cluster-critical',
    'router.nodeSelector.disk=fast',
    'commonLabels.team=ml',
    'global.imageRegistry=registry.example.com',
  ],
  setJson: [
    'ingress.hosts=[{"host":"llm.example.com"}]',
    'ingress.tls=[{"secretName":"llm-tls","hosts":["llm.example.com"]}]',
    'global.imagePullSecrets=[{"name":"pull"}]',
    'router.extraEnv=[{"name":"TZ","value":"UTC"}]',
    'networkPolicy.routerFrom=[{"namespaceSelector":{"matchLabels":{"team":"web"}}}]',
    'networkPolicy.metricsFrom=[{"namespaceSelector":{}}]',
    'networkPolicy.apiServerTo=[{"ipBlock":{"cidr":"10.0.0.1/32"}}]',
    'extraObjects=[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"{{ .Release.Name }}-more"}}]',
  ],
};

export const everything: RenderOptions = {
  set: [
    ...(everythingBuiltIn.set ?? []),
    'monitoring.serviceMonitor.enabled=true',
    'monitoring.podMonitor.enabled=true',
    'monitoring.prometheusRule.enabled=true',
    'httpRoute.enabled=true',
  ],
  setJson: [...(everythingBuiltIn.setJson ?? []), 'httpRoute.parentRefs=[{"name":"gateway"}]'],
  apiVersions: [monitoring, gateway],
};

const nothing: RenderOptions = {
  set: [
    'networkPolicy.enabled=false',
    'admissionPolicies.enabled=false',
    'rbac.create=false',
    'serviceAccounts.create=false',
    'tests.enabled=false',
    'controller.podDisruptionBudget.enabled=false',
    'router.podDisruptionBudget.enabled=false',
    'router.preStopSleepSeconds=0',
  ],
};

const spread = '[{"maxSkew":1,"topologyKey":"zone","whenUnsatisfiable":"DoNotSchedule","labelSelector":{}}]';
const affinity =
  '{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"disk","operator":"Exists"}]}]}}}';

/** What is handed through as it is given: it has to arrive at the right place. */
const handedThrough: RenderOptions = {
  set: [
    'router.podDisruptionBudget.maxUnavailable=50%',
    'router.service.type=LoadBalancer',
    'ingress.enabled=true',
    'ingress.className=nginx',
    'rbac.readSecrets[0]=remote-key',
    'rbac.capacityBuffers=true',
    'slots.allowHostPath=true',
    'serviceAccounts.slotAnnotations.role=reader',
    'tests.demoModel.enabled=true',
    'tests.demoModel.resourceName=example.com/cpu',
  ],
  setJson: [
    ...['controller', 'router'].flatMap((part) => [
      `${part}.tolerations=[{"key":"gpu","operator":"Exists","effect":"NoSchedule"}]`,
      `${part}.affinity=${affinity}`,
      `${part}.topologySpreadConstraints=${spread}`,
      `${part}.podAnnotations={"note":"1"}`,
      `${part}.podLabels={"tier":"front","shared":"yes","since":"0777"}`,
      `${part}.extraEnv=[{"name":"NODE","valueFrom":{"fieldRef":{"fieldPath":"spec.nodeName"}}}]`,
    ]),
    'router.service.annotations={"note":"on"}',
    'ingress.annotations={"note":"1"}',
    'ingress.hosts=[{"host":"a.example","paths":[{"path":"/v1","pathType":"Exact"}]}]',
    'networkPolicy.sourcesTo=[{"ipBlock":{"cidr":"10.0.0.0/8","except":["10.1.0.0/16"]}}]',
    'networkPolicy.dnsTo=[{"namespaceSelector":{}},{"ipBlock":{"cidr":"169.254.20.10/32"}}]',
    'networkPolicy.upstreamsTo=[{"ipBlock":{"cidr":"203.0.113.0/24"}}]',
    'networkPolicy.upstreamPorts=[443,8443]',
  ],
};

/** Of the chart `stoker`. */
export const stokerMatrix: Readonly<Record<string, RenderOptions>> = {
  defaults: {},
  everything,
  'everything built in': everythingBuiltIn,
  nothing,
  'values handed through': handedThrough,
  'names of its own': { set: ['fullnameOverride=llm-gateway', 'nameOverride=gateway'] },
  'the kinds': { set: ['crds.enabled=true', 'commonLabels.team=ml'] },
  'the kinds, to go with it': { set: ['crds.enabled=true', 'crds.keep=false', 'crds.aggregate=false'] },
  'audit only': { set: ['admissionPolicies.action=Audit'] },
  'a digest': { set: [`image.digest=sha256:${'a'.repeat(64)}`] },
};

const model = { servedName: 'm', version: { weights: { file: { path: '/m.gguf' } }, contextLength: 1_048_576 } };
const pool = { accelerator: { resourceName: 'nvidia.com/gpu', className: 'h100' }, slots: { min: 1, max: 4 } };

/** Of all charts. */
export const chartMatrix: Readonly<Record<string, RenderOptions>> = {
  ...Object.fromEntries(Object.entries(stokerMatrix).map(([name, options]) => [`stoker with ${name}`, options])),
  'stoker-crds with defaults': { chart: 'stoker-crds' },
  'stoker-crds with labels': { chart: 'stoker-crds', set: ['commonLabels.team=ml'] },
  'stoker-crds with nothing': { chart: 'stoker-crds', set: ['keep=false', 'rbac.aggregate=false'] },
  'models with defaults': { chart: 'models' },
  'models with one of each': {
    chart: 'models',
    set: ['keep=true', 'commonLabels.team=ml'],
    setJson: [`models=${JSON.stringify({ m: model })}`, `pools=${JSON.stringify({ gpus: pool })}`],
  },
};
