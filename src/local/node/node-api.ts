// What the local node needs of the Kubernetes API: Pods to run, and the few calls around them. Implemented over HTTPS in
// api-client.ts. The node sees all namespaces, as a kubelet does.
import type { Pod, PodStatus, Secret } from '../../api/kinds.ts';
import type { Result } from '../../lib/result.ts';

export interface NodeApiError {
  readonly reason: 'NotFound' | 'Conflict' | 'Refused' | 'Unavailable';
  readonly message: string;
}

export type NodeApiResult<T> = Promise<Result<T, NodeApiError>>;

/** Names one Pod for good: another Pod may have the name later, but never the uid. */
export interface PodRef {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export interface PodEvents {
  /** Every Pod that exists now. Called at the start and again whenever the watch could not be resumed. */
  onList(pods: readonly Pod[]): void;
  onPod(pod: Pod): void;
  onGone(pod: Pod): void;
}

export interface PodToken {
  readonly token: string;
  /** Seconds from now until it is refused. */
  readonly expiresInSeconds: number;
}

/** A status as a merge patch: null takes a field away. */
export type PodStatusPatch = { readonly [Key in keyof PodStatus]: PodStatus[Key] | null };

export interface NodeApi {
  /** Follows all Pods until the signal aborts. Comes back by itself from every failure; never rejects. */
  followPods(events: PodEvents, signal: AbortSignal): Promise<void>;
  readSecret(namespace: string, name: string, signal: AbortSignal): NodeApiResult<Secret>;
  patchPodStatus(pod: PodRef, status: PodStatusPatch, signal: AbortSignal): NodeApiResult<void>;
  /** Removes the object at once (grace 0), if it still is this Pod. */
  removePod(pod: PodRef, signal: AbortSignal): NodeApiResult<void>;
  requestToken(
    pod: PodRef,
    wanted: { readonly serviceAccountName: string; readonly audience: string; readonly expirationSeconds: number },
    signal: AbortSignal,
  ): NodeApiResult<PodToken>;
  close(): Promise<void>;
}
