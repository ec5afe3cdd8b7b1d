import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { campaign, type ElectionOptions, type Leadership } from '../../../src/kube/election.ts';
import { renderMicroTime } from '../../../src/kube/lease-store.ts';
import { createManualClock, type ManualClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { createRng } from '../../../src/lib/rng.ts';
import { createMemoryLease } from '../../support/memory-lease.ts';

const never = new AbortController().signal;

function candidate(
  clock: ManualClock,
  changes: Partial<ElectionOptions> & Pick<ElectionOptions, 'store'>,
): ElectionOptions {
  return { leaseName: 'stoker-controller', holder: 'a', clock, rng: createRng(3), log: silentLog, ...changes };
}

/** Lets time pass in small steps, so that everything that waits gets its turn. */
async function pass(clock: ManualClock, ms: number, look = () => {}): Promise<void> {
  for (let left = ms; left > 0; left -= 100) {
    clock.advance(Math.min(100, left));
    await turn();
    look();
  }
}

/** Notes when the candidate leads, and why it stops leading. */
function follow(leading: Promise<Leadership>) {
  const seen: { leadership?: Leadership; lost?: string } = {};
  void leading.then(async (leadership) => {
    seen.leadership = leadership;
    seen.lost = await leadership.lost;
  });
  return seen;
}

/** A Lease that is made then begins with epoch 1. */
const MINUTE_ONE = 60_000;

function epochOf(seen: { leadership?: Leadership }): number | undefined {
  return seen.leadership?.epoch;
}

test('a Lease that is not there begins above every one that may have been deleted, with six-digit times', async () => {
  const [clock, memory] = [createManualClock(1_700_000_000_123), createMemoryLease()];
  const leadership = await campaign(candidate(clock, { store: memory.store() }), never);
  const minutes = Math.floor(1_700_000_000 / 60);
  assert.equal(leadership.epoch, minutes);
  assert.ok(leadership.isHeld());
  assert.deepEqual(memory.lease?.spec, {
    holderIdentity: 'a',
    leaseDurationSeconds: 15,
    acquireTime: '2023-11-14T22:13:20.123000Z',
    renewTime: '2023-11-14T22:13:20.123000Z',
    leaseTransitions: minutes,
  });
  assert.equal(renderMicroTime(createManualClock(1_700_000_000_000)), '2023-11-14T22:13:20.000000Z');
});

test('a Lease from a backup is taken with an epoch above every one that was obeyed since', async () => {
  const [clock, memory] = [createManualClock(1_700_000_000_000), createMemoryLease()];
  const minutes = Math.floor(1_700_000_000 / 60);
  memory.set({ holderIdentity: '', leaseTransitions: minutes - 3000 });
  const backup = await campaign(candidate(clock, { store: memory.store() }), never);
  await backup.release();
  clock.advance(86_400_000);
  // What the fleet obeyed after the backup was made.
  const obeyed = await campaign(candidate(clock, { store: memory.store() }), never);
  await obeyed.release();
  clock.advance(3_600_000);
  memory.set({ holderIdentity: '', leaseTransitions: backup.epoch });
  const restored = await campaign(candidate(clock, { store: memory.store() }), never);
  assert.ok(restored.epoch > obeyed.epoch && obeyed.epoch > backup.epoch);
  await restored.release();
});

test('leaders that follow each other soon are counted, and a clock that went back changes nothing', async () => {
  const [clock, memory] = [createManualClock(1_700_000_000_000), createMemoryLease()];
  const first = await campaign(candidate(clock, { store: memory.store() }), never);
  await first.release();
  clock.advance(300_000);
  const second = await campaign(candidate(clock, { store: memory.store() }), never);
  await second.release();
  const behind = createManualClock(1_600_000_000_000);
  const third = await campaign(candidate(behind, { store: memory.store() }), never);
  assert.deepEqual([second.epoch, third.epoch], [first.epoch + 1, first.epoch + 2]);
  await third.release();
});

test('it is renewed every 2 s, and only its time changes', async () => {
  const [clock, memory] = [createManualClock(MINUTE_ONE), createMemoryLease()];
  const leadership = await campaign(candidate(clock, { store: memory.store() }), never);
  await pass(clock, 60_000);
  assert.ok(leadership.isHeld());
  assert.deepEqual(memory.epochs, [1]);
  assert.equal(memory.lease?.metadata.resourceVersion, '31');
  assert.equal(memory.lease?.spec?.renewTime, renderMicroTime(clock));
});

test('one that stands by is told who leads, and that nobody does once the Lease may be taken', async () => {
  const [clock, memory] = [createManualClock(MINUTE_ONE), createMemoryLease()];
  const first = await campaign(candidate(clock, { store: memory.store() }), never);
  const told: (string | undefined)[] = [];
  const onHolder = (holder: string | undefined) => void told.push(holder);
  const second = follow(campaign(candidate(clock, { store: memory.store(), holder: 'b', onHolder }), never));
  await pass(clock, 10_000);
  assert.deepEqual([...new Set(told)], ['a']);
  await first.release();
  await pass(clock, 2000);
  assert.equal(epochOf(second), 2);
  assert.equal(told.at(-1), undefined);
});

test('one that stands by takes over within 2 s when the Lease is given back, with the next epoch', async () => {
  const [clock, memory] = [createManualClock(MINUTE_ONE), createMemoryLease()];
  const first = await campaign(candidate(clock, { store: memory.store() }), never);
  const second = follow(campaign(candidate(clock, { store: memory.store(), holder: 'b' }), never));
  await pass(clock, 30_000);
  assert.equal(epochOf(second), undefined);
  await first.release();
  assert.equal(first.isHeld(), false);
  await pass(clock, 2000);
  assert.equal(epochOf(second), 2);
  assert.deepEqual(memory.epochs, [1, 2]);
});

test('a leader that says nothing any more is followed after 15 s, and not before', async () => {
  const [clock, memory] = [createManualClock(MINUTE_ONE), createMemoryLease()];
  // Its clock is wrong by an hour: nobody compares times.
  const renewTime = renderMicroTime(createManualClock(clock.wallMs() + 3_600_000));
  memory.set({ holderIdentity: 'gone', leaseDurationSeconds: 15, renewTime, leaseTransitions: 7 });
  const seen = follow(campaign(candidate(clock, { store: memory.store() }), never));
  await pass(clock, 14_000);
  assert.equal(epochOf(seen), undefined);
  await pass(clock, 3000);
  assert.equal(epochOf(seen), 8);
});

test('a change in between begins the 15 s anew', async () => {
  const [clock, memory] = [createManualClock(MINUTE_ONE), createMemoryLease()];
  memory.set({ holderIdentity: 'slow', leaseDurationSeconds: 15, leaseTransitions: 1 });
  const seen = follow(campaign(candidate(clock, { store: memory.store() }), never));
  await pass(clock, 12_000);
  memory.set({ renewTime: renderMicroTime(clock) });
  await pass(clock, 12_000);
  assert.equal(epochOf(seen), undefined);
  await pass(clock, 6000);
  assert.equal(epochOf(seen), 2);
});

test('a new process of the same name waits for nothing, and its predecessor is over', async () => {
  const [clock, memory] = [createManualClock(MINUTE_ONE), createMemoryLease()];
  const first = follow(campaign(candidate(clock, { store: memory.store() }), never));
  await turn();
  const second = await campaign(candidate(clock, { store: memory.store() }), never);
  assert.equal(second.epoch, 2);
  await pass(clock, 3000);
  assert.match(first.lost ?? '', /Another controller leads: a/);
  assert.equal(first.leadership?.isHeld(), false);
  assert.ok(second.isHeld());
});

test('of candidates that start at the same moment one leads', async () => {
  const [clock, memory] = [createManualClock(MINUTE_ONE), createMemoryLease()];
  const all = ['a', 'b', 'c', 'd'].map((holder) =>
    follow(campaign(candidate(clock, { store: memory.store(), holder }), never)),
  );
  await pass(clock, 30_000);
  assert.equal(all.filter(({ leadership }) => leadership?.isHeld() === true).length, 1);
  assert.deepEqual(memory.epochs, [1]);
});

test('a leader that cannot renew gives up after 10 s, before anybody may follow', async () => {
  const [clock, memory] = [createManualClock(MINUTE_ONE), createMemoryLease()];
  let isCut = false;
  const store = memory.store(() => (isCut ? 'Unavailable' : undefined));
  const seen = follow(campaign(candidate(clock, { store }), never));
  await pass(clock, 5000);
  isCut = true;
  await pass(clock, 8000);
  assert.equal(seen.lost, undefined);
  await pass(clock, 4000);
  assert.match(seen.lost ?? '', /was not renewed for 10 s\. The last attempt: .*Unavailable in a test/);
  assert.equal(seen.leadership?.isHeld(), false);
});

test('a failure that passes is survived', async () => {
  const [clock, memory] = [createManualClock(MINUTE_ONE), createMemoryLease()];
  let calls = 0;
  const store = memory.store(() => (calls++ % 3 === 0 ? 'Throttled' : undefined));
  const seen = follow(campaign(candidate(clock, { store }), never));
  await pass(clock, 60_000);
  assert.ok(seen.leadership?.isHeld());
  assert.equal(seen.lost, undefined);
});

test('a process that stood still for too long does not hold the Lease, and asks nobody', async () => {
  const [clock, memory] = [createManualClock(MINUTE_ONE), createMemoryLease()];
  let calls = 0;
  const store = memory.store(() => {
    calls += 1;
    return undefined;
  });
  const seen = follow(campaign(candidate(clock, { store }), never));
  await turn();
  const before = calls;
  // One step: no timer fires in between, as after SIGSTOP.
  clock.advance(60_000);
  assert.equal(seen.leadership?.isHeld(), false);
  await turn();
  assert.match(seen.lost ?? '', /stood still/);
  assert.equal(calls, before);
});

test('a label that a person sets is no other leader', async () => {
  const [clock, memory] = [createManualClock(MINUTE_ONE), createMemoryLease()];
  const seen = follow(campaign(candidate(clock, { store: memory.store() }), never));
  await pass(clock, 5000);
  memory.set({});
  await pass(clock, 20_000);
  assert.ok(seen.leadership?.isHeld());
  assert.equal(seen.lost, undefined);
});

test('a Lease that was removed is made again with the same epoch', async () => {
  const [clock, memory] = [createManualClock(MINUTE_ONE), createMemoryLease()];
  memory.set({ holderIdentity: '', leaseTransitions: 41 });
  const seen = follow(campaign(candidate(clock, { store: memory.store() }), never));
  await pass(clock, 3000);
  memory.set(undefined);
  await pass(clock, 3000);
  assert.ok(seen.leadership?.isHeld());
  assert.equal(memory.lease?.spec?.leaseTransitions, 42);
});

test('one that stands by leaves a removed Lease to its holder, and makes it when nobody does', async () => {
  const [clock, memory] = [createManualClock(MINUTE_ONE), createMemoryLease()];
  const first = follow(campaign(candidate(clock, { store: memory.store() }), never));
  await pass(clock, 100);
  const second = follow(campaign(candidate(clock, { store: memory.store(), holder: 'b', rng: createRng(4) }), never));
  await pass(clock, 3000);
  for (let time = 0; time < 5; time += 1) {
    memory.set(undefined);
    await pass(clock, 3000);
    assert.deepEqual([first.leadership?.isHeld(), second.leadership], [true, undefined]);
  }
  const leader = first.leadership ?? assert.fail('nobody leads');
  await leader.release();
  memory.set(undefined);
  const waited: (number | undefined)[] = [];
  for (let passed = 0; passed < 17; passed += 1) {
    await pass(clock, 1000);
    waited.push(epochOf(second));
  }
  assert.deepEqual([waited[13], waited[16] !== undefined], [undefined, true], `${waited}`);
  await second.leadership?.release();
});

test('a server that says no is an error with a sentence; one that is away is waited for', async () => {
  const [clock, memory] = [createManualClock(MINUTE_ONE), createMemoryLease()];
  await assert.rejects(
    campaign(candidate(clock, { store: memory.store(() => 'Forbidden') }), never),
    /^Error: The Lease stoker-controller cannot be taken: Forbidden in a test$/,
  );
  let isAway = true;
  const seen = follow(
    campaign(candidate(clock, { store: memory.store(() => (isAway ? 'Timeout' : undefined)) }), never),
  );
  await pass(clock, 20_000);
  isAway = false;
  await pass(clock, 2000);
  assert.equal(epochOf(seen), 1);
});

test('a renewal that was cut off on its way back does not keep the Lease from being given back', async () => {
  const [clock, memory] = [createManualClock(MINUTE_ONE), createMemoryLease()];
  const leadership = await campaign(candidate(clock, { store: memory.store() }), never);
  memory.set({});
  await leadership.release();
  assert.equal(memory.lease?.spec?.holderIdentity, '');
});

test('one that stands by can be stopped, and leaves no timer', async () => {
  const [clock, memory] = [createManualClock(MINUTE_ONE), createMemoryLease()];
  memory.set({ holderIdentity: 'other', leaseDurationSeconds: 15 });
  const stopping = new AbortController();
  const waiting = campaign(candidate(clock, { store: memory.store() }), stopping.signal);
  await pass(clock, 3000);
  stopping.abort(new Error('stop'));
  await assert.rejects(waiting, /stop/);
  assert.equal(clock.pendingTimers(), 0);
});

type Step =
  | { readonly kind: 'pass' | 'freeze'; readonly ms: number }
  | { readonly kind: 'cut'; readonly who: number; readonly on: boolean }
  | { readonly kind: 'release'; readonly who: number };

test('whatever fails and whoever stops: never two that hold it, and epochs only rise', async () => {
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 100, max: 16_000 }) }),
    fc.record({ kind: fc.constant('cut' as const), who: fc.nat(2), on: fc.boolean() }),
    fc.record({ kind: fc.constant('freeze' as const), ms: fc.integer({ min: 100, max: 40_000 }) }),
    fc.record({ kind: fc.constant('release' as const), who: fc.nat(2) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      const [clock, memory] = [createManualClock(MINUTE_ONE), createMemoryLease()];
      const cuts = [false, false, false];
      const stopping = new AbortController();
      const all = cuts.map((_, who) => {
        const store = memory.store(() => (cuts[who] === true ? 'Unavailable' : undefined));
        const options = candidate(clock, { store, holder: `c${who}`, rng: createRng(who + 1) });
        const seen: { leadership?: Leadership } = {};
        campaign(options, stopping.signal).then(
          (leadership) => {
            seen.leadership = leadership;
          },
          () => undefined,
        );
        return seen;
      });
      const check = () => {
        assert.ok(all.filter(({ leadership }) => leadership?.isHeld() === true).length <= 1);
        assert.deepEqual(
          memory.epochs,
          [...new Set(memory.epochs)].sort((a, b) => a - b),
        );
      };
      const takeStep = async (one: Step) => {
        if (one.kind === 'cut') cuts[one.who] = one.on;
        else if (one.kind === 'freeze') clock.advance(one.ms);
        else if (one.kind === 'release') await all[one.who]?.leadership?.release();
        else await pass(clock, one.ms, check);
      };
      for (const one of steps) {
        await takeStep(one);
        check();
      }
      stopping.abort(new Error('done'));
      for (const { leadership } of all) await leadership?.release();
    }),
    { numRuns: 60 },
  );
});
