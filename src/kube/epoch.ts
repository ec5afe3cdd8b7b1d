// The epoch of a controller: the Lease's transition count, raised by one at every start with optimistic concurrency, so
// that each start outranks all earlier ones (docs/adr/0007-epoch.md). Never counts without the server's consent.

import type { Lease } from '../api/kinds.ts';
import { kinds } from '../api/kinds.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import type { Result } from '../lib/result.ts';
import type { ClusterError } from '../ports/cluster.ts';
import { EPOCH_TRIES_MAX } from './bounds.ts';
import { createKubeClient, type KubeClient } from './client.ts';
import type { Connection } from './connection.ts';

export interface EpochOptions {
  readonly namespace: string;
  readonly leaseName: string;
  /** Who holds the Lease from now on. */
  readonly holder: string;
  readonly clock?: Clock;
}

const LEASE_DURATION_SECONDS = 15;

/** Resolves with the new epoch, 1 or more. Rejects with the server's sentence. */
export async function acquireEpoch(connection: Connection, options: EpochOptions): Promise<number> {
  const clock = options.clock ?? systemClock;
  const client = createKubeClient(connection, clock);
  try {
    return await raiseEpoch(client, options, clock);
  } finally {
    await client.close();
  }
}

async function raiseEpoch(client: KubeClient, options: EpochOptions, clock: Clock): Promise<number> {
  const place = { namespace: options.namespace, name: options.leaseName };
  for (let tries = 0; tries < EPOCH_TRIES_MAX; tries += 1) {
    const found = await client.get(kinds.Lease, place);
    if (!found.ok && found.error.reason !== 'NotFound') throw refusal(options, found.error);
    const epoch = (found.ok ? (found.value.spec?.leaseTransitions ?? 0) : 0) + 1;
    const spec = leaseSpec(epoch, options.holder, clock.wallMs());
    const written = found.ok
      ? await client.patch(kinds.Lease, place, { spec }, versionOf(found.value))
      : await create(client, place, spec);
    if (written.ok) return epoch;
    if (written.error.reason !== 'Conflict' && written.error.reason !== 'AlreadyExists')
      throw refusal(options, written.error);
  }
  throw new Error(
    `The Lease ${options.leaseName} changed ${EPOCH_TRIES_MAX} times while an epoch was taken: is another controller being restarted again and again?`,
  );
}

function create(
  client: KubeClient,
  place: { namespace: string; name: string },
  spec: Lease['spec'],
): Promise<Result<Lease, ClusterError>> {
  const lease = { apiVersion: kinds.Lease.apiVersion, kind: kinds.Lease.kind, metadata: place, spec };
  return client.create(kinds.Lease, lease, { namespace: place.namespace });
}

function versionOf(lease: Lease): { resourceVersion?: string } {
  const { resourceVersion } = lease.metadata;
  return resourceVersion === undefined ? {} : { resourceVersion };
}

function leaseSpec(epoch: number, holder: string, wallMs: number): NonNullable<Lease['spec']> {
  const now = renderMicroTime(wallMs);
  return {
    holderIdentity: holder,
    leaseDurationSeconds: LEASE_DURATION_SECONDS,
    acquireTime: now,
    renewTime: now,
    leaseTransitions: epoch,
  };
}

/** Lease times need six digits after the second: the server refuses three. */
export function renderMicroTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace('Z', '000Z');
}

function refusal(options: EpochOptions, error: ClusterError): Error {
  return new Error(
    `The Lease ${options.leaseName} in namespace ${options.namespace} cannot be taken: ${error.message}`,
  );
}
