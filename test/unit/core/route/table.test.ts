import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { applyTable, emptyTable } from '../../../../src/core/route/table.ts';
import { wholeTable } from '../../../support/running-router.ts';

const address = '127.0.0.1:1';

describe('the routing table', () => {
  test('is indexed by what is asked of it', () => {
    const table = applyTable(emptyTable, wholeTable({ endpoints: [{ address }], warmth: [{ rung: 'Awake' }] }, 1));
    assert.equal(table.byServedName.get('demo')?.model, 'demo');
    assert.equal(table.endpointsOf.get('demo')?.length, 1);
    assert.equal(table.warmth.get('demo')?.rung, 'Awake');
    assert.equal(table.keys.get('pod-0')?.version, 1);
    assert.equal(emptyTable.models.length, 0);
  });

  test('a section that is not sent stays, an older one is dropped', () => {
    const first = applyTable(emptyTable, wholeTable({ endpoints: [{ address }] }, 5));
    const { policy, endpoints: _endpoints, keys: _keys, ...fence } = wholeTable({ models: [] }, 6);
    const second = applyTable(first, { ...fence, policy });
    assert.equal(second.models.length, 0);
    assert.equal(second.endpoints, first.endpoints);
    assert.deepEqual(second.versions, { policy: 6, endpoints: 5, keys: 5 });
    const third = applyTable(second, { ...wholeTable({}, 5), seq: 7 });
    assert.equal(third.models, second.models);
  });

  test('a new leader replaces each section, also when it sends them one by one with lower versions', () => {
    const old = applyTable(emptyTable, wholeTable({ endpoints: [{ address }] }, 50));
    const { endpoints, policy, keys, ...fence } = wholeTable({ models: [{ model: 'new' }] }, 2, 2);
    let table = applyTable(old, { ...fence, policy });
    table = applyTable(table, { ...fence, seq: 3, endpoints, keys });
    assert.equal(table.byModel.has('new'), true);
    assert.equal(table.endpoints.length, 0);
    assert.deepEqual(table.versions, { policy: 2, endpoints: 2, keys: 2 });
  });

  test('a new epoch always wins', () => {
    const message = fc.record({ epoch: fc.nat(5), version: fc.integer({ min: 1, max: 50 }) });
    fc.assert(
      fc.property(fc.array(message), message, (before, last) => {
        const sent = [...before].sort((a, b) => a.epoch - b.epoch);
        let table = emptyTable;
        for (const { epoch, version } of sent) table = applyTable(table, wholeTable({}, version, epoch));
        const epoch = 6 + last.epoch;
        const served = applyTable(table, wholeTable({ models: [{ model: 'last' }] }, last.version, epoch));
        assert.equal(served.byModel.has('last'), true);
        assert.equal(served.epoch, epoch);
      }),
    );
  });
});
