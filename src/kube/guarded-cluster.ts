// The Cluster port for a leader alone: writes go through while it leads and are refused from the moment somebody else may
// have taken over, also in a process that was stopped in between and knows nothing of it. Reads are left alone.
import { fail, type Result } from '../lib/result.ts';
import type { Cluster, ClusterError } from '../ports/cluster.ts';

const refusal: ClusterError = { reason: 'Aborted', message: 'this controller does not lead any more' };

export function guardCluster(cluster: Cluster, isHeld: () => boolean): Cluster {
  const whileHeld = async <T>(write: () => Promise<Result<T, ClusterError>>): Promise<Result<T, ClusterError>> =>
    isHeld() ? write() : fail(refusal);
  return {
    namespace: cluster.namespace,
    isSynced: () => cluster.isSynced(),
    get: (kind, name) => cluster.get(kind, name),
    list: (kind) => cluster.list(kind),
    onChange: (listener) => cluster.onChange(listener),
    read: (kind, name, signal) => cluster.read(kind, name, signal),
    reviewToken: (token, audience, signal) => cluster.reviewToken(token, audience, signal),
    create: (kind, object, signal) => whileHeld(() => cluster.create(kind, object, signal)),
    patch: (kind, name, patch, options) => whileHeld(() => cluster.patch(kind, name, patch, options)),
    patchStatus: (kind, name, status, options) => whileHeld(() => cluster.patchStatus(kind, name, status, options)),
    remove: (kind, name, options) => whileHeld(() => cluster.remove(kind, name, options)),
    recordEvent(event) {
      if (isHeld()) cluster.recordEvent(event);
    },
  };
}
