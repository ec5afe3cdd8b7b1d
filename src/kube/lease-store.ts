// One Lease on the server: read it, make it, and write into it with optimistic concurrency. Renders the times that the
// server wants. Decides nothing about who leads.
import { kinds, type Lease } from '../api/kinds.ts';
import type { Clock } from '../lib/clock.ts';
import type { ClusterResult } from '../ports/cluster.ts';
import type { KubeClient } from './client.ts';

export type LeaseSpec = NonNullable<Lease['spec']>;

/** Every write fails with Conflict when the Lease has moved on since `before` was read. */
export interface LeaseStore {
  read(signal?: AbortSignal): ClusterResult<Lease>;
  create(spec: LeaseSpec, signal?: AbortSignal): ClusterResult<Lease>;
  write(before: Lease, changes: LeaseSpec, signal?: AbortSignal): ClusterResult<Lease>;
}

export function createLeaseStore(client: KubeClient, place: { namespace: string; name: string }): LeaseStore {
  const withSignal = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { signal });
  return {
    read: (signal) => client.get(kinds.Lease, place, signal),
    create(spec, signal) {
      const lease = { apiVersion: kinds.Lease.apiVersion, kind: kinds.Lease.kind, metadata: place, spec };
      return client.create(kinds.Lease, lease, { namespace: place.namespace, ...withSignal(signal) });
    },
    write(before, changes, signal) {
      const { resourceVersion } = before.metadata;
      const version = resourceVersion === undefined ? {} : { resourceVersion };
      return client.patch(kinds.Lease, place, { spec: changes }, { ...version, ...withSignal(signal) });
    },
  };
}

/** Lease times need six digits after the second: the server refuses three. */
export function renderMicroTime(clock: Clock): string {
  return new Date(clock.wallMs()).toISOString().replace('Z', '000Z');
}
