import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { createManualClock } from '../../../../src/lib/clock.ts';
import { silentLog } from '../../../../src/lib/log.ts';
import type { ApiObject } from '../../../../src/local/api/definition.ts';
import { createHistory, HISTORY_CHANGES_MAX, HISTORY_MS_MAX } from '../../../../src/local/api/history.ts';
import { type Change, type ObjectStore, openObjectStore } from '../../../../src/local/api/object-store.ts';
import { createWatchHub, WATCHES_MAX, type Watcher } from '../../../../src/local/api/watch-hub.ts';

let folder: string;
let store: ObjectStore;
const open = () => openObjectStore(join(folder, 'objects.sqlite'), new Set(['things']), silentLog);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stoker-store-'));
  store = open();
});
afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true });
});

const place = (name: string) => ({ kind: 'things', namespace: 'n', name });
const thing = (name: string, value = 0): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Thing',
  metadata: {
    name,
    namespace: 'n',
    uid: `uid-${name}`,
    resourceVersion: '',
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
  value,
});
const put = (name: string, value?: number) =>
  store.transact((transaction) => transaction.put(place(name), thing(name, value)));

describe('the object store', () => {
  test('an operation that throws leaves nothing, and the ones beside it in the batch hold', async () => {
    const [one, failed, two] = await Promise.allSettled([
      put('one'),
      store.transact((transaction) => {
        transaction.put(place('lost'), thing('lost'));
        throw new Error('no');
      }),
      put('two'),
    ]);
    assert.equal(one.status, 'fulfilled');
    assert.equal(failed.status, 'rejected');
    assert.equal(two.status, 'fulfilled');
    assert.deepEqual(
      store.list('things').map(({ name }) => name),
      ['one', 'two'],
    );
    assert.equal(store.version(), 2);
  });

  test('a dry run is seen by nobody and takes no version', async () => {
    const commits: Change[] = [];
    store.onCommit((changes) => commits.push(...changes));
    const tried = await store.transact((transaction) => transaction.put(place('a'), thing('a')), { dryRun: true });
    assert.equal(tried.name, 'a');
    assert.equal(store.get(place('a')), undefined);
    assert.equal(store.version(), 0);
    assert.deepEqual(commits, []);
  });

  test('listeners hear of a change after it was committed, before its writer', async () => {
    const order: string[] = [];
    store.onCommit((changes) => order.push(...changes.map(({ type, after }) => `${type} ${after.name}`)));
    await put('a').then(() => order.push('answered'));
    assert.deepEqual(order, ['ADDED a', 'answered']);
  });

  test('what was written is there after opening again, of the kinds that are served', async () => {
    await put('a', 7);
    await store.transact((transaction) => transaction.remove(place('a'), thing('a')));
    await put('b', 8);
    store.close();
    store = open();
    assert.equal(store.version(), 3);
    assert.deepEqual(
      store.list('things').map(({ object }) => object.value),
      [8],
    );
    assert.equal(store.byUid('uid-b')?.name, 'b');
    store.close();
    store = openObjectStore(join(folder, 'objects.sqlite'), new Set(['others']), silentLog);
    assert.deepEqual(store.list('things'), []);
    store.close();
    store = open();
    assert.equal(store.list('things').length, 1);
  });

  test('closing answers what waits; later writes are refused', async () => {
    const waiting = put('a');
    store.close();
    assert.equal((await waiting).name, 'a');
    await assert.rejects(put('b'), /the server is stopping/);
  });

  test('more waiting writes than the bound are refused', async () => {
    const all = await Promise.allSettled(Array.from({ length: 4100 }, (_, at) => put(`n-${at % 50}`)));
    const refused = all.filter(({ status }) => status === 'rejected');
    assert.equal(refused.length, 4);
  });

  test('whatever is done, the index and the file hold what a plain map holds', async () => {
    const step = fc.record({
      name: fc.constantFrom('a', 'b', 'c'),
      remove: fc.boolean(),
      fails: fc.boolean(),
      dryRun: fc.boolean(),
      value: fc.nat(9),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const expected = new Map(store.list('things').map(({ name, object }) => [name, object.value]));
        await Promise.allSettled(
          steps.map(({ name, remove, fails, dryRun, value }) =>
            store.transact(
              (transaction) => {
                const there = transaction.get(place(name));
                if (!remove) transaction.put(place(name), thing(name, value));
                else if (there !== undefined) transaction.remove(place(name), there.object);
                if (fails) throw new Error('no');
              },
              { dryRun },
            ),
          ),
        );
        for (const { name, remove, fails, dryRun, value } of steps) {
          if (fails || dryRun) continue;
          if (remove) expected.delete(name);
          else expected.set(name, value);
        }
        const held = () => Object.fromEntries(store.list('things').map(({ name, object }) => [name, object.value]));
        assert.deepEqual(held(), Object.fromEntries(expected));
        store.close();
        store = open();
        assert.deepEqual(held(), Object.fromEntries(expected));
      }),
      { numRuns: 40 },
    );
  });
});

const change = (version: number, type: Change['type'] = 'ADDED', name = `n-${version}`): Change => {
  const object = thing(name);
  const after = { ...place(name), version, object, json: JSON.stringify(object) };
  return { type, before: type === 'ADDED' ? undefined : after, after };
};

describe('the history', () => {
  test('it knows what happened since a version, and says when it has forgotten', () => {
    const clock = createManualClock();
    const history = createHistory(clock, 10);
    history.add([change(11), change(12)]);
    assert.deepEqual(
      history.since('things', 10)?.map(({ after }) => after.version),
      [11, 12],
    );
    assert.deepEqual(history.since('things', 12), []);
    assert.deepEqual(history.since('others', 10), []);
    assert.equal(history.since('things', 9), undefined);
    clock.advance(HISTORY_MS_MAX + 1);
    assert.equal(history.since('things', 11), undefined);
    assert.deepEqual(history.since('things', 12), []);
  });

  test('it is bounded by number', () => {
    const history = createHistory(createManualClock(), 0);
    for (let version = 1; version <= HISTORY_CHANGES_MAX + 10; version += 1) history.add([change(version)]);
    assert.equal(history.since('things', 9), undefined);
    assert.equal(history.since('things', 10)?.length, HISTORY_CHANGES_MAX);
  });

  test('it shows the objects as they were', () => {
    const history = createHistory(createManualClock(), 0);
    const gone = change(2, 'DELETED', 'gone');
    history.add([change(1, 'ADDED', 'later'), gone]);
    const now = [change(1, 'ADDED', 'later').after];
    assert.deepEqual(
      history.at('things', 1, now)?.map(({ name }) => name),
      ['gone', 'later'],
    );
    assert.deepEqual(
      history.at('things', 0, now)?.map(({ name }) => name),
      ['gone'],
    );
  });
});

describe('the watch hub', () => {
  const watcher = (changes: Partial<Watcher> = {}): Watcher & { seen: string[] } => {
    const seen: string[] = [];
    return {
      kind: 'things',
      namespace: undefined,
      matches: () => true,
      deliver: ({ type }) => seen.push(type),
      bookmark: (version) => seen.push(`bookmark ${version}`),
      end: () => seen.push('end'),
      ...changes,
      seen,
    };
  };

  test('watches are bounded, and a place is free again when one ends', () => {
    const hub = createWatchHub(createManualClock(), () => 0);
    const ends = Array.from({ length: WATCHES_MAX }, () => hub.add(watcher()));
    assert.throws(() => hub.add(watcher()), /there are 1000 watches already/);
    ends[0]?.();
    ends[0]?.();
    assert.equal(hub.size(), WATCHES_MAX - 1);
    hub.add(watcher());
    hub.stop();
  });

  test('each sees its kind, its namespace and its objects, and bookmarks in between', () => {
    const clock = createManualClock();
    const hub = createWatchHub(clock, () => 42);
    const [all, other, elsewhere, none] = [
      watcher(),
      watcher({ kind: 'others' }),
      watcher({ namespace: 'elsewhere' }),
      watcher({ matches: () => false }),
    ];
    for (const one of [all, other, elsewhere, none]) hub.add(one);
    hub.publish([change(1), change(2, 'DELETED')]);
    assert.deepEqual(all.seen, ['ADDED', 'DELETED']);
    assert.deepEqual([other.seen, elsewhere.seen, none.seen], [[], [], []]);
    clock.advance(30_000);
    assert.deepEqual(none.seen, ['bookmark 42']);
    hub.stop();
    assert.equal(none.seen.at(-1), 'end');
    assert.equal(clock.pendingTimers(), 0);
  });
});
