// What the cluster tests run on: every program, its version and the module that it is built from. Decides nothing else.

export const versions = {
  kubernetes: '1.34.4',
  etcd: '3.6.16',
  helm: '3.22.0',
  kwok: '0.8.0',
  coredns: '1.12.4',
} as const;

/** `api` is enough for everything but real nodes; `all` has what those need, too. */
export const toolSets = {
  kubectl: ['kubectl'],
  helm: ['helm'],
  api: ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl'],
  all: [
    'etcd',
    'kube-apiserver',
    'kube-controller-manager',
    'kube-scheduler',
    'kubelet',
    'kube-proxy',
    'kubectl',
    'helm',
    'kwok',
    'kwok-stages.yaml',
    'coredns',
  ],
} as const;

export type ToolSet = keyof typeof toolSets;
export type Tool = (typeof toolSets)['all'][number];

/** Built from the Kubernetes module, each from its folder below cmd/. */
export const kubernetesPrograms: readonly Tool[] = [
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
  'kubectl',
];

/** Built by a plain `go install`. */
export const installable: Readonly<Partial<Record<Tool, string>>> = {
  helm: `helm.sh/helm/v3/cmd/helm@v${versions.helm}`,
  kwok: `sigs.k8s.io/kwok/cmd/kwok@v${versions.kwok}`,
  coredns: `github.com/coredns/coredns@v${versions.coredns}`,
};
