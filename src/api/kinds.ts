// The kinds on the wire: ours, and the few of Kubernetes that the controller touches (only the fields that it reads).
import { API_VERSION, type ClusterObject, type KindRef } from './group.ts';
import type { Model } from './model.ts';
import type { ModelRevision } from './model-revision.ts';
import type { Pool } from './pool.ts';

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: number | string };
  readonly periodSeconds?: number;
  readonly timeoutSeconds?: number;
  readonly failureThreshold?: number;
}

export interface ContainerSpec {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly EnvVar[];
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
  readonly resources?: {
    readonly requests?: Readonly<Record<string, string>>;
    readonly limits?: Readonly<Record<string, string>>;
  };
  readonly imagePullPolicy?: string;
  /** Whether the end of the log tells why it ended, when nothing else does. */
  readonly terminationMessagePolicy?: 'File' | 'FallbackToLogsOnError';
  readonly readinessProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly startupProbe?: Probe;
  readonly securityContext?: object;
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
}

export interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly fieldRef?: { readonly fieldPath: string };
    readonly secretKeyRef?: { readonly name: string; readonly key: string; readonly optional?: boolean };
  };
}

export interface PodVolume {
  readonly name: string;
  readonly emptyDir?: { readonly medium?: 'Memory'; readonly sizeLimit?: string };
  readonly hostPath?: { readonly path: string; readonly type: 'Directory' };
  readonly persistentVolumeClaim?: { readonly claimName: string; readonly readOnly?: boolean };
  readonly projected?: {
    readonly sources: readonly {
      readonly serviceAccountToken?: {
        readonly audience: string;
        readonly expirationSeconds: number;
        readonly path: string;
      };
      readonly configMap?: {
        readonly name: string;
        readonly items?: readonly { readonly key: string; readonly path: string }[];
      };
    }[];
  };
}

export interface Pod extends ClusterObject {
  readonly spec: {
    readonly initContainers?: readonly ContainerSpec[];
    readonly containers: readonly ContainerSpec[];
    readonly volumes?: readonly PodVolume[];
    readonly serviceAccountName?: string;
    readonly automountServiceAccountToken?: boolean;
    readonly restartPolicy?: 'Always' | 'OnFailure' | 'Never';
    readonly terminationGracePeriodSeconds?: number;
    readonly activeDeadlineSeconds?: number;
    readonly nodeName?: string;
    readonly nodeSelector?: Readonly<Record<string, string>>;
    readonly affinity?: object;
    readonly tolerations?: readonly object[];
    readonly topologySpreadConstraints?: readonly object[];
    readonly runtimeClassName?: string;
    readonly priorityClassName?: string;
    readonly imagePullSecrets?: readonly { readonly name: string }[];
    readonly securityContext?: object;
    readonly shareProcessNamespace?: boolean;
    readonly enableServiceLinks?: boolean;
  };
  readonly status?: PodStatus;
}

export interface PodStatus {
  readonly phase?: 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown';
  readonly reason?: string;
  readonly message?: string;
  readonly hostIP?: string;
  readonly podIP?: string;
  readonly startTime?: string;
  readonly conditions?: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason?: string;
    readonly message?: string;
    readonly lastTransitionTime?: string;
  }[];
  readonly initContainerStatuses?: readonly ContainerStatus[];
  readonly containerStatuses?: readonly ContainerStatus[];
}

export interface ContainerStatus {
  readonly name: string;
  readonly ready: boolean;
  readonly restartCount: number;
  readonly state?: object;
  readonly lastState?: object;
}

export interface Secret extends ClusterObject {
  readonly type?: string;
  /** base64 */
  readonly data?: Readonly<Record<string, string>>;
}

export interface ConfigMap extends ClusterObject {
  readonly data?: Readonly<Record<string, string>>;
}

export interface Service extends ClusterObject {
  readonly spec?: object;
}

export interface EndpointSlice extends ClusterObject {
  readonly addressType: 'IPv4' | 'IPv6';
  readonly endpoints: readonly {
    readonly addresses: readonly string[];
    readonly conditions?: { readonly ready?: boolean };
    readonly targetRef?: { readonly kind: string; readonly name: string; readonly namespace?: string };
  }[];
  readonly ports: readonly { readonly name?: string; readonly port?: number; readonly protocol?: string }[];
}

export interface PodDisruptionBudget extends ClusterObject {
  readonly spec: {
    readonly minAvailable: number;
    readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly unhealthyPodEvictionPolicy: 'AlwaysAllow';
  };
}

interface PolicyPort {
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP';
}

/** The Pods with these labels, of this namespace. */
interface PodPeer {
  readonly podSelector: { readonly matchLabels: Readonly<Record<string, string>> };
}

/** Any peer that Kubernetes knows, as a person wrote it. */
export interface PolicyPeer {
  readonly podSelector?: object | undefined;
  readonly namespaceSelector?: object | undefined;
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] | undefined } | undefined;
}

export interface NetworkPolicy extends ClusterObject {
  readonly spec: {
    readonly podSelector: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly policyTypes: readonly ('Ingress' | 'Egress')[];
    readonly ingress: readonly { readonly ports: readonly PolicyPort[]; readonly from?: readonly PodPeer[] }[];
    readonly egress: readonly { readonly ports: readonly PolicyPort[]; readonly to?: readonly PolicyPeer[] }[];
  };
}

/** Room that an autoscaler keeps free, in nodes (autoscaling.x-k8s.io). */
export interface CapacityBuffer extends ClusterObject {
  readonly spec: {
    readonly provisioningStrategy: string;
    readonly podTemplateRef: { readonly name: string };
    readonly replicas: number;
  };
}

export interface PodTemplate extends ClusterObject {
  readonly template: { readonly spec: object };
}

export interface Lease extends ClusterObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    /** Six digits after the second: 2026-01-01T00:00:00.000000Z. */
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

export const kinds = {
  Pool: { apiVersion: API_VERSION, kind: 'Pool', plural: 'pools' } as KindRef<Pool>,
  Model: { apiVersion: API_VERSION, kind: 'Model', plural: 'models' } as KindRef<Model>,
  ModelRevision: { apiVersion: API_VERSION, kind: 'ModelRevision', plural: 'modelrevisions' } as KindRef<ModelRevision>,
  Pod: { apiVersion: 'v1', kind: 'Pod', plural: 'pods' } as KindRef<Pod>,
  Secret: { apiVersion: 'v1', kind: 'Secret', plural: 'secrets' } as KindRef<Secret>,
  Service: { apiVersion: 'v1', kind: 'Service', plural: 'services' } as KindRef<Service>,
  EndpointSlice: {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    plural: 'endpointslices',
  } as KindRef<EndpointSlice>,
  ConfigMap: { apiVersion: 'v1', kind: 'ConfigMap', plural: 'configmaps' } as KindRef<ConfigMap>,
  PodDisruptionBudget: {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    plural: 'poddisruptionbudgets',
  } as KindRef<PodDisruptionBudget>,
  NetworkPolicy: {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    plural: 'networkpolicies',
  } as KindRef<NetworkPolicy>,
  Lease: { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', plural: 'leases' } as KindRef<Lease>,
} as const;

const bufferKind = { kind: 'CapacityBuffer', plural: 'capacitybuffers' };
/** Which of them a cluster has depends on its autoscaler; the newest first. */
export const capacityBufferKinds: readonly KindRef<CapacityBuffer>[] = [
  { apiVersion: 'autoscaling.x-k8s.io/v1beta1', ...bufferKind },
  { apiVersion: 'autoscaling.x-k8s.io/v1alpha1', ...bufferKind },
];
export const podTemplateKind: KindRef<PodTemplate> = { apiVersion: 'v1', kind: 'PodTemplate', plural: 'podtemplates' };
