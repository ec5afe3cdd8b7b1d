import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { applyJsonPatch } from '../../../../src/local/api/json-patch.ts';
import { applyMergePatch } from '../../../../src/local/api/merge-patch.ts';
import { ApiError } from '../../../../src/local/api/status-error.ts';

/** Code of the refusal. */
function refusal(run: () => unknown): number {
  try {
    run();
  } catch (error) {
    if (error instanceof ApiError) return error.code;
    throw error;
  }
  throw new Error('it was not refused');
}

const json = fc.jsonValue({ depthSize: 'small' });
const pointer = fc
  .array(fc.constantFrom('a', 'b', '0', '1', '-', '~0', '~1', '__proto__', ''), { maxLength: 4 })
  .map((steps) => steps.map((step) => `/${step}`).join(''));

describe('JSON patch', () => {
  test('the examples of RFC 6902', () => {
    assert.deepEqual(applyJsonPatch({ foo: ['bar', 'baz'] }, [{ op: 'add', path: '/foo/1', value: 'qux' }]), {
      foo: ['bar', 'qux', 'baz'],
    });
    assert.deepEqual(
      applyJsonPatch({ foo: { bar: 'baz', waldo: 'fred' }, qux: { corge: 'grault' } }, [
        { op: 'move', from: '/foo/waldo', path: '/qux/thud' },
      ]),
      { foo: { bar: 'baz' }, qux: { corge: 'grault', thud: 'fred' } },
    );
    assert.deepEqual(
      applyJsonPatch({ foo: ['all', 'grass', 'cows', 'eat'] }, [{ op: 'move', from: '/foo/1', path: '/foo/3' }]),
      { foo: ['all', 'cows', 'eat', 'grass'] },
    );
    assert.deepEqual(applyJsonPatch({ '/': 9, '~1': 10 }, [{ op: 'test', path: '/~01', value: 10 }]), {
      '/': 9,
      '~1': 10,
    });
    assert.deepEqual(applyJsonPatch({ foo: ['bar'] }, [{ op: 'add', path: '/foo/-', value: ['a'] }]), {
      foo: ['bar', ['a']],
    });
    assert.deepEqual(applyJsonPatch({ a: 1 }, [{ op: 'replace', path: '', value: 2 }]), 2);
  });

  test('what is no patch is 400, what fails is 422', () => {
    for (const patch of [
      {},
      'x',
      [1],
      [{}],
      [{ op: 'add', path: 'a', value: 1 }],
      [{ op: 'add', path: '/a' }],
      [{ op: 'jump', path: '/a' }],
    ])
      assert.equal(
        refusal(() => applyJsonPatch({}, patch)),
        400,
        JSON.stringify(patch),
      );
    for (const operation of [
      { op: 'remove', path: '/none' },
      { op: 'replace', path: '/none', value: 1 },
      { op: 'add', path: '/none/below', value: 1 },
      { op: 'add', path: '/list/9', value: 1 },
      { op: 'add', path: '/list/01', value: 1 },
      { op: 'remove', path: '/list/-' },
      { op: 'test', path: '/list', value: [2] },
      { op: 'move', from: '/list', path: '/list/0' },
      { op: 'copy', from: '/none', path: '/x' },
    ])
      assert.equal(
        refusal(() => applyJsonPatch({ list: [1] }, [operation])),
        422,
        JSON.stringify(operation),
      );
  });

  test('copying cannot grow a value without end', () => {
    const doubling = [
      { op: 'add', path: '/a', value: ['x'.repeat(1000)] },
      ...Array.from({ length: 60 }, () => ({ op: 'copy', from: '/a', path: '/a/-' })),
    ];
    assert.equal(
      refusal(() => applyJsonPatch({}, doubling)),
      413,
    );
  });

  test('no patch changes its target, throws anything but a refusal, or touches Object.prototype', () => {
    const operation = fc.record({
      op: fc.constantFrom('add', 'remove', 'replace', 'move', 'copy', 'test'),
      path: pointer,
      from: pointer,
      value: json,
    });
    fc.assert(
      fc.property(json, fc.array(operation, { maxLength: 6 }), (target, patch) => {
        const before = JSON.stringify(target);
        try {
          applyJsonPatch(target, patch);
        } catch (error) {
          assert.ok(error instanceof ApiError, String(error));
        }
        assert.equal(JSON.stringify(target), before);
        assert.deepEqual(Object.keys(Object.prototype), []);
      }),
      { numRuns: 1000 },
    );
  });

  test('add and remove of a member undo each other', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), json), fc.string(), json, (target, name, value) => {
        fc.pre(!Object.hasOwn(target, name));
        const path = `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
        const added = applyJsonPatch(target, [{ op: 'add', path, value }]);
        assert.equal(JSON.stringify(applyJsonPatch(added, [{ op: 'remove', path }])), JSON.stringify(target));
      }),
    );
  });
});

describe('merge patch', () => {
  test('the examples of RFC 7386', () => {
    const rows: [unknown, unknown, unknown][] = [
      [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
      [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
      [{ a: 'b' }, { a: null }, {}],
      [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
      [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
      [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
      [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
      [
        ['a', 'b'],
        ['c', 'd'],
        ['c', 'd'],
      ],
      [{ a: 'b' }, ['c'], ['c']],
      [{ a: 'foo' }, null, null],
      [{ e: null }, { a: 1 }, { e: null, a: 1 }],
      [[1, 2], { a: 'b', c: null }, { a: 'b' }],
      [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    ];
    for (const [target, patch, result] of rows) assert.deepEqual(applyMergePatch(target, patch), result);
  });

  test('applying a patch twice is applying it once, and the target stays', () => {
    fc.assert(
      fc.property(json, json, (target, patch) => {
        const before = JSON.stringify(target);
        const once = applyMergePatch(target, patch);
        assert.equal(JSON.stringify(applyMergePatch(once, patch)), JSON.stringify(once));
        assert.equal(JSON.stringify(target), before);
      }),
    );
  });
});
