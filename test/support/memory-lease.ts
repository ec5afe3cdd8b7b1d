// One Lease in memory with optimistic concurrency, as an API server keeps it. A test may make it fail, or answer later.
import type { Lease } from '../../src/api/kinds.ts';
import type { LeaseSpec, LeaseStore } from '../../src/kube/lease-store.ts';
import { fail, ok } from '../../src/lib/result.ts';
import type { ClusterError, ClusterErrorReason, ClusterResult } from '../../src/ports/cluster.ts';

export interface MemoryLease {
  readonly lease: Lease | undefined;
  /** Every transition count that was ever written, in order. */
  readonly epochs: readonly number[];
  /** The store as one candidate sees it. `fault` decides, before each call, whether that fails. */
  store(fault?: (verb: 'read' | 'create' | 'write') => ClusterErrorReason | undefined): LeaseStore;
  /** As somebody who asks nobody. */
  set(spec: LeaseSpec | undefined): void;
}

export function createMemoryLease(): MemoryLease {
  let version = 0;
  let lease: Lease | undefined;
  const epochs: number[] = [];
  const keep = (spec: LeaseSpec): Lease => {
    version += 1;
    const metadata = { name: 'lease', uid: 'u', resourceVersion: String(version) };
    lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec: { ...lease?.spec, ...spec } };
    if (spec.leaseTransitions !== undefined) epochs.push(spec.leaseTransitions);
    return structuredClone(lease);
  };
  const refuse = (reason: ClusterErrorReason) => fail<ClusterError>({ reason, message: `${reason} in a test` });
  return {
    get lease() {
      return lease;
    },
    epochs,
    set(spec) {
      if (spec === undefined) lease = undefined;
      else keep(spec);
    },
    store: (fault = () => undefined) => {
      const guarded = async <T>(
        verb: 'read' | 'create' | 'write',
        call: () => Awaited<ClusterResult<T>>,
      ): ClusterResult<T> => {
        const reason = fault(verb);
        return reason === undefined ? call() : refuse(reason);
      };
      return {
        read: () => guarded('read', () => (lease === undefined ? refuse('NotFound') : ok(structuredClone(lease)))),
        create: (spec) => guarded('create', () => (lease === undefined ? ok(keep(spec)) : refuse('AlreadyExists'))),
        write: (before, changes) =>
          guarded('write', () => {
            if (lease === undefined) return refuse('NotFound');
            const isSame = before.metadata.resourceVersion === lease.metadata.resourceVersion;
            return isSame ? ok(keep(changes)) : refuse('Conflict');
          }),
      };
    },
  };
}
