// The API server as the local node sees it, in memory: Pods that tests make and delete, Secrets, tokens, and faults.
// Follows the rules that matter to a kubelet: a deleted Pod stays until it is removed with grace 0 and the right uid.
import { randomUUID } from 'node:crypto';
import type { Pod, Secret } from '../../src/api/kinds.ts';
import { fail, ok } from '../../src/lib/result.ts';
import type { NodeApi, NodeApiError, PodEvents, PodRef, PodStatusPatch } from '../../src/local/node/node-api.ts';

export interface MemoryNodeApi extends NodeApi {
  readonly secrets: Map<string, Secret>;
  /** Every token that was given, oldest first. */
  readonly tokens: { readonly pod: PodRef; readonly token: string; readonly audience: string }[];
  /** Every status that arrived, oldest first. */
  readonly statuses: { readonly uid: string; readonly status: PodStatusPatch }[];
  tokenSeconds: number;
  /** While true every call fails as if the server were away. */
  isAway: boolean;
  /** Calls that failed because it was away. */
  refusals: number;
  refusesTokens: boolean;
  pod(name: string): Pod | undefined;
  create(name: string, spec: Pod['spec'], metadata?: Partial<Pod['metadata']>): Pod;
  /** As DELETE without options: sets the deletion time. */
  remove(name: string, graceSeconds?: number): void;
  /** As DELETE with grace 0: the object goes at once. */
  force(name: string): void;
}

const away: NodeApiError = { reason: 'Unavailable', message: 'The API does not answer.' };

export function createMemoryNodeApi(): MemoryNodeApi {
  const pods = new Map<string, Pod>();
  const followers = new Set<PodEvents>();
  const tell = (call: (events: PodEvents) => void) => {
    for (const follower of followers) queueMicrotask(() => call(follower));
  };
  const put = (pod: Pod) => {
    pods.set(pod.metadata.name, pod);
    tell((events) => events.onPod(pod));
  };
  const drop = (pod: Pod) => {
    pods.delete(pod.metadata.name);
    tell((events) => events.onGone(pod));
  };
  const find = ({ name, uid }: PodRef) => {
    const pod = pods.get(name);
    if (pod === undefined) return fail<NodeApiError>({ reason: 'NotFound', message: 'not found' });
    return pod.metadata.uid === uid ? ok(pod) : fail<NodeApiError>({ reason: 'Conflict', message: 'another uid' });
  };
  const failAway = () => {
    api.refusals += 1;
    return fail(away);
  };
  const api: MemoryNodeApi = {
    secrets: new Map(),
    tokens: [],
    statuses: [],
    tokenSeconds: 3600,
    isAway: false,
    refusals: 0,
    refusesTokens: false,
    pod: (name) => pods.get(name),
    create(name, spec, metadata = {}) {
      const times = { creationTimestamp: '2026-01-01T00:00:00Z', ...metadata };
      const pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace: 'default', uid: randomUUID(), ...times },
        spec,
      };
      put(pod);
      return pod;
    },
    remove(name, graceSeconds = 30) {
      const pod = pods.get(name);
      if (pod === undefined) throw new Error(`there is no Pod ${name}`);
      const deletion = { deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: graceSeconds };
      put({ ...pod, metadata: { ...pod.metadata, ...deletion } });
    },
    force(name) {
      const pod = pods.get(name);
      if (pod !== undefined) drop(pod);
    },
    async followPods(events, signal) {
      followers.add(events);
      events.onList([...pods.values()]);
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      followers.delete(events);
    },
    async readSecret(namespace, name) {
      const secret = api.secrets.get(`${namespace}/${name}`);
      if (api.isAway) return failAway();
      return secret === undefined ? fail({ reason: 'NotFound', message: `secrets "${name}" not found` }) : ok(secret);
    },
    async patchPodStatus(ref, status) {
      if (api.isAway) return failAway();
      const found = find(ref);
      if (!found.ok) return found;
      api.statuses.push({ uid: ref.uid, status });
      const whole = Object.entries({ ...found.value.status, ...status }).filter(([, value]) => value !== null);
      put({ ...found.value, status: Object.fromEntries(whole) });
      return ok(undefined);
    },
    async removePod(ref) {
      if (api.isAway) return failAway();
      const found = find(ref);
      if (!found.ok) return found;
      drop(found.value);
      return ok(undefined);
    },
    async requestToken(pod, { audience }) {
      if (api.isAway) return failAway();
      if (api.refusesTokens) return fail({ reason: 'Refused', message: 'no tokens today' });
      const token = `token-${api.tokens.length}`;
      api.tokens.push({ pod, token, audience });
      return ok({ token, expiresInSeconds: api.tokenSeconds });
    },
    close: async () => {},
  };
  return api;
}
