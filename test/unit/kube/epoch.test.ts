import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { acquireEpoch, renderMicroTime } from '../../../src/kube/epoch.ts';
import { createManualClock } from '../../../src/lib/clock.ts';
import { type FakeApiServer, failure, startFakeApiServer } from '../../support/fake-api-server.ts';

let api: FakeApiServer;
beforeEach(async () => {
  api = await startFakeApiServer();
});
afterEach(() => api.stop());

const options = {
  namespace: 'ns',
  leaseName: 'stoker-controller',
  holder: 'me',
  clock: createManualClock(1_700_000_000_123),
};

interface StoredLease {
  metadata: { name: string; resourceVersion: string };
  spec: Record<string, unknown>;
}

/** One Lease with optimistic concurrency. `interfere` may change it between a read and a write. */
function keepLease(interfere: (lease: StoredLease) => void = () => {}): { lease: StoredLease | undefined } {
  const kept: { lease: StoredLease | undefined } = { lease: undefined };
  api.onCall = ({ method, body }) => {
    const given = body as StoredLease;
    if (method === 'GET') {
      const answer =
        kept.lease === undefined ? failure(404, 'NotFound', 'no lease') : { body: structuredClone(kept.lease) };
      if (kept.lease !== undefined) interfere(kept.lease);
      return answer;
    }
    if (method === 'POST' && kept.lease !== undefined) return failure(409, 'AlreadyExists', 'there is one');
    if (method === 'PATCH' && given.metadata.resourceVersion !== kept.lease?.metadata.resourceVersion)
      return failure(409, 'Conflict', 'it has moved on');
    const version = Number(kept.lease?.metadata.resourceVersion ?? 0) + 1;
    kept.lease = {
      metadata: { name: 'stoker-controller', resourceVersion: String(version) },
      spec: { ...kept.lease?.spec, ...given.spec },
    };
    return { body: kept.lease };
  };
  return kept;
}

test('every start gets an epoch above all earlier ones, and leaves its name and six-digit times', async () => {
  const kept = keepLease();
  assert.deepEqual([await acquireEpoch(api.connection, options), await acquireEpoch(api.connection, options)], [1, 2]);
  assert.deepEqual(kept.lease?.spec, {
    holderIdentity: 'me',
    leaseDurationSeconds: 15,
    acquireTime: '2023-11-14T22:13:20.123000Z',
    renewTime: '2023-11-14T22:13:20.123000Z',
    leaseTransitions: 2,
  });
});

test('starts at the same moment get different epochs', async () => {
  keepLease();
  const epochs = await Promise.all(Array.from({ length: 4 }, () => acquireEpoch(api.connection, options)));
  assert.deepEqual(epochs.sort(), [1, 2, 3, 4]);
});

test('a Lease that changes under every try, or cannot be read, is an error with a sentence', async () => {
  const kept = keepLease((lease) => {
    lease.metadata.resourceVersion = String(Number(lease.metadata.resourceVersion) + 1);
  });
  kept.lease = { metadata: { name: 'stoker-controller', resourceVersion: '1' }, spec: {} };
  await assert.rejects(acquireEpoch(api.connection, options), /changed 10 times/);
  api.onCall = () => failure(403, 'Forbidden', 'leases are not yours');
  await assert.rejects(
    acquireEpoch(api.connection, options),
    /The Lease stoker-controller in namespace ns cannot be taken: leases are not yours/,
  );
});

test('a whole second has six digits too', () => {
  assert.equal(renderMicroTime(1_700_000_000_000), '2023-11-14T22:13:20.000000Z');
});
