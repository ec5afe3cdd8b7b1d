// One model's queue on a clock that is moved by hand: shares, order, blocks, and what the controller hears.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { applyTable, emptyTable } from '../../../src/core/route/table.ts';
import { createManualClock } from '../../../src/lib/clock.ts';
import { createRng } from '../../../src/lib/rng.ts';
import { routerBounds } from '../../../src/router/bounds.ts';
import { createEndpointBook } from '../../../src/router/queue/endpoint-book.ts';
import { createModelQueue, type Grant, type Place, type QueueRequest } from '../../../src/router/queue/model-queue.ts';
import { type TableParts, wholeTable } from '../../support/running-router.ts';

const address = '127.0.0.1:1';
const everything = { policy: true, endpoints: true, keys: true };

/** `perReadingMs`: how far the clock goes on at each look. */
function createRig(bounds: Partial<typeof routerBounds> = {}, perReadingMs = 0) {
  const manual = createManualClock();
  let readMs = 0;
  const nowMs = () => {
    readMs += perReadingMs;
    return manual.nowMs() + readMs;
  };
  const clock = { ...manual, nowMs };
  const book = createEndpointBook(createRng(3));
  const heard: string[] = [];
  let table = emptyTable;
  let version = 0;
  const queue = createModelQueue({
    ...{ model: 'demo', clock, book },
    bounds: { ...routerBounds, ...bounds },
    table: () => table,
    onChange: () => heard.push('change'),
    onStarved: () => heard.push('starved'),
  });
  return {
    ...{ clock, book, queue, heard },
    setTable(parts: TableParts) {
      version += 1;
      table = applyTable(table, wholeTable(parts, version));
      book.update(table, everything);
      queue.onTableChange();
    },
    enter: (id: string, changes: Partial<QueueRequest> = {}) =>
      queue.enter({
        id,
        tenant: 'a',
        cost: 1,
        bytes: 1,
        orderMs: 0,
        promptTokens: 7,
        showsReading: true,
        onTableChange: () => {},
        ...changes,
      }),
  };
}

const step: fc.Arbitrary<Step> = fc.record({
  do: fc.constantFrom('enter', 'enter', 'enter', 'release', 'putBack', 'abort', 'table', 'time'),
  at: fc.nat(11),
});

/** Lets promises settle. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('the queue of a model', () => {
  test('comes back for a block that ends while it looks', async () => {
    for (let untilMs = 0.5; untilMs < 12; untilMs += 1) {
      const rig = createRig({}, 1);
      rig.setTable({ endpoints: [{ address, instance: 'pod-0/demo-1/1' }] });
      rig.book.limited('pod-0/demo-1/1', untilMs);
      let isGranted = false;
      void rig
        .enter('one')
        ?.granted(new AbortController().signal)
        .then(() => {
          isGranted = true;
        });
      while (rig.clock.fireNext());
      await settled();
      assert.ok(isGranted, `a block until ${untilMs} ms`);
    }
  });

  test('lets go as many as the share allows, in order', async () => {
    const rig = createRig();
    const order: string[] = [];
    const grants: Grant[] = [];
    for (const id of ['one', 'two', 'three']) {
      const place = rig.enter(id);
      void place?.granted(new AbortController().signal).then((grant) => {
        order.push(id);
        grants.push(grant);
      });
    }
    assert.equal(rig.queue.demand().queued, 3);
    assert.equal(rig.queue.demand().queuedTokens, 21);
    rig.setTable({ endpoints: [{ address, share: 2 }] });
    await settled();
    assert.deepEqual(order, ['one', 'two']);
    assert.equal(rig.queue.demand().inFlight, 2);
    grants[0]?.release();
    grants[0]?.release();
    await settled();
    assert.deepEqual(order, ['one', 'two', 'three']);
    assert.equal(rig.queue.demand().inFlight, 2);
  });

  test('holds back who would wait behind a long prompt, until that is read', async () => {
    const rig = createRig();
    rig.setTable({ endpoints: [{ address, share: 4 }] });
    const grants = new Map<string, Grant>();
    const enter = (id: string, promptTokens: number, showsReading = true) =>
      void rig
        .enter(id, { promptTokens, showsReading })
        ?.granted(new AbortController().signal)
        .then((grant) => grants.set(id, grant));
    enter('short', 100);
    enter('long', 5000);
    enter('held', 10);
    await settled();
    assert.deepEqual([...grants.keys()], ['short', 'long'], 'what is read first is less than a step');
    assert.deepEqual([rig.queue.demand().queued, rig.queue.demand().engineTokens], [1, 5000]);
    grants.get('short')?.read();
    assert.equal(rig.queue.demand().engineTokens, undefined, 'the long one is being read');
    await settled();
    assert.equal(grants.size, 2);
    grants.get('long')?.read();
    await settled();
    assert.ok(grants.has('held'));
    // Of an answer that comes whole nobody sees when its prompt is read.
    enter('whole', 5000, false);
    enter('next', 10);
    await settled();
    assert.ok(!grants.has('next'), 'the share is used up');
    grants.get('short')?.release();
    await settled();
    assert.ok(grants.has('next'));
  });

  test('tells the controller at once only when somebody waits who waited before nobody', () => {
    const rig = createRig();
    rig.enter('one');
    rig.enter('two');
    assert.deepEqual(rig.heard, ['starved', 'change']);
    rig.queue.claimWake(1000);
    rig.queue.claimWake(2000);
    assert.deepEqual(rig.heard.slice(2), ['starved', 'change']);
    assert.equal(rig.queue.demand().wakeLeaseMs, 2000);
    rig.clock.advance(5000);
    assert.equal(rig.queue.demand().wakeLeaseMs, 0);
    assert.equal(rig.queue.demand().oldestQueuedMs, 5000);
  });

  test('an aborted wait leaves the queue and lets the next one go', async () => {
    const rig = createRig();
    const leaving = new AbortController();
    const first = rig.enter('one')?.granted(leaving.signal);
    const second = rig.enter('two')?.granted(new AbortController().signal);
    leaving.abort(new Error('gone'));
    await assert.rejects(first ?? Promise.resolve(), /gone/);
    rig.setTable({ endpoints: [{ address, share: 1 }] });
    assert.equal((await second)?.endpoint.instance, 'pod-0/demo-1/1');
  });

  test('who comes back goes first, once the block of its endpoint is over', async () => {
    const rig = createRig();
    rig.setTable({ endpoints: [{ address, share: 1 }] });
    const place = rig.enter('one');
    const grant = await place?.granted(new AbortController().signal);
    const order: string[] = [];
    void rig
      .enter('two')
      ?.granted(new AbortController().signal)
      .then(() => order.push('two'));
    rig.book.refused('pod-0/demo-1/1', 'Full', { nowMs: rig.clock.nowMs(), isNews: true });
    place?.putBack();
    grant?.release();
    void place?.granted(new AbortController().signal).then(() => order.push('one'));
    await settled();
    assert.deepEqual(order, []);
    assert.equal(rig.clock.fireNext(), true);
    await settled();
    assert.deepEqual(order, ['one']);
  });

  test('an endpoint whose slot has no key waits for the keys', async () => {
    const rig = createRig();
    rig.setTable({ endpoints: [{ address }], keys: [] });
    const grant = rig.enter('one')?.granted(new AbortController().signal);
    await settled();
    assert.equal(rig.queue.demand().queued, 1);
    rig.setTable({ endpoints: [{ address }] });
    assert.equal((await grant)?.key.length, 64);
  });

  test('asks everybody again when the table changes', () => {
    const rig = createRig();
    let asked = 0;
    rig.enter('one', {
      onTableChange() {
        asked += 1;
      },
    });
    rig.setTable({});
    assert.equal(asked, 1);
  });

  test('never more than the shares, never more than the bounds, and nobody is lost, whatever happens', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const crowd = createCrowd();
        for (const [index, each] of steps.entries()) {
          const before = crowd.grants();
          crowd.apply(each, index);
          await settled();
          crowd.check(before);
        }
        crowd.rig.setTable({ endpoints: [{ address, share: 100 }] });
        crowd.rig.clock.advance(10_000);
        await settled();
        assert.ok([...crowd.grants().values()].every((grant) => grant !== undefined));
      }),
      { numRuns: 60 },
    );
  });
});

interface Step {
  readonly do: 'enter' | 'release' | 'putBack' | 'abort' | 'table' | 'time';
  readonly at: number;
}

interface Member {
  readonly place: Place;
  readonly abort: AbortController;
  readonly grant: Grant | undefined;
}

/** Callers of one queue with two endpoints, whose shares change. */
function createCrowd() {
  const rig = createRig({ queueItemsMax: 12 });
  const members = new Map<string, Member>();
  let shares = [0, 0];
  const wait = (id: string, place: Place, abort: AbortController) => {
    members.set(id, { place, abort, grant: undefined });
    place.granted(abort.signal).then(
      (grant) => void members.set(id, { place, abort, grant }),
      () => void members.delete(id),
    );
  };
  const leave = (id: string, { place, grant }: Member) => {
    place.leave();
    grant?.release();
    members.delete(id);
  };
  const putBack = (id: string, { place, abort, grant }: Member) => {
    if (grant === undefined) return;
    rig.book.refused(grant.endpoint.instance, 'Full', { nowMs: rig.clock.nowMs(), isNews: true });
    place.putBack();
    grant.release();
    wait(id, place, abort);
  };
  const onMember = (what: Step['do'], id: string, member: Member) => {
    if (what === 'abort') member.abort.abort(new Error('gone'));
    if (member.grant === undefined) return;
    if (what === 'putBack') putBack(id, member);
    else leave(id, member);
  };
  const enter = (tenant: number, index: number) => {
    const place = rig.enter(`i${index}`, { tenant: `t${tenant}`, orderMs: index % 3 });
    if (place !== undefined) wait(`i${index}`, place, new AbortController());
  };
  const setShares = (first: number) => {
    shares = [first, 3 - first];
    const endpoints = shares.map((share, pod) => ({ address, share, instance: `pod-${pod}/demo-1/1` }));
    rig.setTable({ endpoints });
  };
  const grants = () => new Map([...members].map(([id, { grant }]) => [id, grant]));
  return {
    rig,
    grants,
    apply({ do: what, at }: Step, index: number) {
      if (what === 'enter') enter(at % 3, index);
      else if (what === 'table') setShares(at % 4);
      else if (what === 'time') rig.clock.advance(at * 50);
      else {
        const [id, member] = [...members][at] ?? [];
        if (id !== undefined && member !== undefined) onMember(what, id, member);
      }
    },
    /** An endpoint whose share shrank may be above it, but gets nobody new then. */
    check(before: ReadonlyMap<string, Grant | undefined>) {
      for (const [pod, share] of shares.entries()) {
        const here = [...grants()].filter(([, grant]) => grant?.endpoint.instance === `pod-${pod}/demo-1/1`);
        const isNew = here.some(([id, grant]) => before.get(id) !== grant);
        assert.ok(!isNew || here.length <= share, `${here.length} of ${share}`);
      }
      const { queued, inFlight } = rig.queue.demand();
      assert.equal(queued + inFlight, members.size);
      assert.equal(inFlight, [...grants().values()].filter((grant) => grant !== undefined).length);
      assert.ok(members.size <= 12);
    },
  };
}
