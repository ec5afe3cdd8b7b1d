// Whether one more Pod fits, exactly, and the sentence when it does not.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Pod } from '../../../../src/api/kinds.ts';
import { parseCapacity, podRequests, refuseFit } from '../../../../src/local/node/capacity.ts';

function pod(...resources: NonNullable<Pod['spec']['containers'][number]['resources']>[]): Pod {
  const containers = resources.map((one, at) => ({ name: `c${at}`, image: 'none', resources: one }));
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' }, spec: { containers } };
}

function requestsOf(one: Pod) {
  const requests = podRequests(one);
  assert.ok(requests.ok);
  return requests.value;
}

describe('podRequests', () => {
  test('adds containers, and takes a limit for a request that is not there', () => {
    const requests = requestsOf(
      pod({ requests: { cpu: '500m' }, limits: { cpu: '2', memory: '1Gi' } }, { limits: { cpu: '1' } }),
    );
    assert.deepEqual(
      [...requests],
      [
        ['cpu', 1500n],
        ['memory', 1_073_741_824_000n],
      ],
    );
  });

  test('says what is no quantity', () => {
    assert.deepEqual(podRequests(pod({ requests: { cpu: 'many' } })), {
      ok: false,
      error: 'Container c0 asks for "many" of cpu: that is no quantity.',
    });
    assert.throws(() => parseCapacity({ cpu: '-1' }), /capacity of cpu cannot be "-1"/);
  });
});

describe('refuseFit', () => {
  const capacity = parseCapacity({ cpu: '1', memory: '2Gi' });

  test('tenths add up to one', () => {
    const tenth = requestsOf(pod({ requests: { cpu: '0.1' } }));
    assert.equal(refuseFit(capacity, Array(9).fill(tenth), tenth), undefined);
    assert.equal(
      refuseFit(capacity, Array(10).fill(tenth), tenth),
      'The Pod does not fit: of 1 cpu, 1 is taken and 100m is asked for.',
    );
  });

  test('names everything that is missing', () => {
    const wanted = requestsOf(pod({ requests: { cpu: '2', memory: '3Gi', 'nvidia.com/gpu': '1', free: '0' } }));
    assert.equal(
      refuseFit(capacity, [], wanted),
      'The Pod does not fit: of 1 cpu, 0 is taken and 2 is asked for; of 2.0 GiB memory, 0 B is taken and 3.0 GiB is asked for; the node has no nvidia.com/gpu, and 1 is asked for.',
    );
  });

  test('what is admitted never exceeds what there is', () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 1200 }), { maxLength: 30 });
    fc.assert(
      fc.property(sizes, (millis) => {
        const taken: ReadonlyMap<string, bigint>[] = [];
        for (const milli of millis) {
          const wanted = new Map([['cpu', BigInt(milli)]]);
          if (refuseFit(capacity, taken, wanted) === undefined) taken.push(wanted);
        }
        const sum = taken.reduce((total, one) => total + (one.get('cpu') ?? 0n), 0n);
        assert.ok(sum <= 1000n);
      }),
    );
  });
});
