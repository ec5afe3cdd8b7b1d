import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { type ModelDemand, type Table, tableSchema } from '../../../src/api/link.ts';
import { ageOfLoads, createFleet, type Fleet, sumLoads } from '../../../src/controller/fleet.ts';
import { areEndpointsAcknowledged, createPublisher, type TableContent } from '../../../src/controller/tables.ts';
import { createTrials } from '../../../src/controller/trials.ts';
import { createManualClock } from '../../../src/lib/clock.ts';
import type { RouterSession } from '../../../src/ports/link.ts';
import { routerHello } from '../../support/link-messages.ts';
import { reportOn } from '../../support/placement.ts';

const endless = Number.POSITIVE_INFINITY;
const clock = createManualClock();
let fleet: Fleet;
let seq = 0;
let publish: (content: TableContent) => number;
beforeEach(() => {
  fleet = createFleet(clock);
  seq = 0;
  publish = createPublisher({ fleet, nextFence: () => ({ epoch: 2, seq: ++seq }) });
});

interface Heard {
  readonly session: RouterSession;
  readonly tables: Table[];
  isFull: boolean;
}

function join(name: string, epoch = 0): Heard {
  const heard: Heard = {
    tables: [],
    isFull: false,
    session: {
      id: name,
      role: 'router',
      identity: { username: 'router' },
      hello: { ...routerHello(name), fence: { epoch, seq: 0 } },
      close: () => {},
      send(message) {
        if (heard.isFull || message.type !== 'table') return false;
        heard.tables.push(tableSchema.parse(JSON.parse(JSON.stringify(message))));
        return true;
      },
    },
  };
  fleet.openRouter(heard.session);
  return heard;
}

const row = { model: 'm', queued: 0, queuedTokens: 0, oldestQueuedMs: 0, inFlight: 0, arrivals: 0, wakeLeaseMs: 0 };
const demand = (heard: Heard, changes: Partial<ModelDemand>) =>
  fleet.demand(heard.session, { type: 'demand', models: [{ ...row, ...changes }] });
const open = { instance: 'p/m-1/1', podUid: 'p', model: 'm', revision: 'm-1', address: '127.0.0.1:1', concurrency: 5 };
const content = (changes: Partial<TableContent> = {}): TableContent => ({
  policy: [],
  open: [],
  warmth: [{ model: 'm', rung: 'Asleep', etaMs: 1000 }],
  keys: [],
  upstreams: { open: [], keys: [] },
  isComplete: true,
  turn: 0,
  ...changes,
});
const sections = (table: Table | undefined) =>
  Object.keys(table ?? {}).filter((key) => ['policy', 'endpoints', 'keys'].includes(key));

describe('tables', () => {
  test('a new session gets all of it, later ones only what changed, with growing versions', () => {
    const heard = join('a');
    publish(content());
    publish(content());
    publish(content({ open: [open] }));
    assert.deepEqual(heard.tables.map(sections), [['policy', 'endpoints', 'keys'], ['endpoints']]);
    assert.deepEqual(
      heard.tables.map(({ endpoints }) => endpoints?.version),
      [1, 2],
    );
    assert.equal(heard.tables[1]?.endpoints?.data.endpoints[0]?.share, 5);
    const again = join('a');
    publish(content({ open: [open] }));
    assert.deepEqual(sections(again.tables[0]), ['policy', 'endpoints', 'keys']);
    assert.ok((again.tables[0]?.policy?.version ?? 0) > 2);
  });

  test('shares follow the routers that ask', () => {
    const [one, other] = [join('a'), join('b')];
    demand(one, { queued: 1 });
    publish(content({ open: [open] }));
    const share = (heard: Heard) => heard.tables.at(-1)?.endpoints?.data.endpoints[0]?.share;
    assert.deepEqual([share(one), share(other)], [5, undefined]);
    demand(other, { queued: 1 });
    publish(content({ open: [open] }));
    assert.deepEqual([share(one), share(other)], [3, 2]);
  });

  test('what could not be sent is sent later', () => {
    const heard = join('a');
    heard.isFull = true;
    assert.equal(publish(content()), 0);
    heard.isFull = false;
    assert.equal(publish(content()), 1);
  });

  test('a small change of an estimate is no message, a large one is', () => {
    const heard = join('a');
    for (const etaMs of [1000, 1400, 1501]) publish(content({ warmth: [{ model: 'm', rung: 'Asleep', etaMs }] }));
    publish(content({ warmth: [{ model: 'm', rung: 'Waking', etaMs: 300 }] }));
    publish(content({ warmth: [{ model: 'm', rung: 'Waking', etaMs: 10 }] }));
    assert.deepEqual(
      heard.tables.map(({ endpoints }) => endpoints?.data.warmth[0]?.etaMs),
      [1000, 1501, 300],
    );
  });

  test('a router with a table keeps it while a new controller does not know every slot', () => {
    const [fresh, served] = [join('fresh'), join('served', 1)];
    publish(content({ isComplete: false }));
    assert.deepEqual([fresh.tables.length, served.tables.length], [1, 0]);
    publish(content());
    assert.equal(served.tables.length, 1);
  });

  test('endpoints are acknowledged when every router routes by the latest', () => {
    const heard = join('a');
    publish(content());
    assert.equal(areEndpointsAcknowledged(fleet), false);
    const versions = { policy: 1, endpoints: 1, keys: 1 };
    fleet.acknowledge(heard.session, { type: 'acknowledge', epoch: 2, seq: 1, versions });
    assert.equal(areEndpointsAcknowledged(fleet), true);
    publish(content({ open: [open] }));
    assert.equal(areEndpointsAcknowledged(fleet), false);
    fleet.closeRouter(heard.session);
    assert.equal(areEndpointsAcknowledged(fleet), true);
  });
});

describe('demand', () => {
  test('is summed over routers, and leases run out', () => {
    const [one, other] = [join('a'), join('b')];
    demand(one, { queued: 2, oldestQueuedMs: 50, wakeLeaseMs: 1000, engineTokens: 300 });
    demand(other, { queued: 1, inFlight: 3, oldestQueuedMs: 10 });
    const nowMs = clock.nowMs() + 400;
    assert.deepEqual(sumLoads(fleet.routers.values(), nowMs).get('m'), {
      queued: 3,
      inFlight: 3,
      oldestQueuedMs: 450,
      wakeLeaseMs: 600,
      waitingTokens: [0, 0, 0],
      engineTokens: 300,
    });
  });

  test('is as old as what the stalest router said, and endless without a word', () => {
    const nowMs = clock.nowMs();
    assert.deepEqual(ageOfLoads(fleet.routers, nowMs), { newest: endless, oldest: endless });
    const [one, other] = [join('a'), join('b')];
    demand(one, {});
    assert.deepEqual(ageOfLoads(fleet.routers, nowMs), { newest: 0, oldest: endless });
    clock.advance(400);
    demand(other, {});
    assert.deepEqual(ageOfLoads(fleet.routers, nowMs + 5000), { newest: 4600, oldest: 5000 });
  });

  test('waits by request as far as the router lists them, and alike for the rest', () => {
    demand(join('a'), { queued: 3, queuedTokens: 100, waitingTokens: [40] });
    assert.deepEqual(sumLoads(fleet.routers.values(), clock.nowMs()).get('m')?.waitingTokens, [40, 30, 30]);
  });

  test('only a change of it is news', () => {
    const heard = join('a');
    assert.deepEqual(
      [demand(heard, {}), demand(heard, { oldestQueuedMs: 9 }), demand(heard, { queued: 1 })],
      [true, false, true],
    );
  });

  test('of a session that was replaced counts for nothing', () => {
    const old = join('a');
    join('a');
    assert.equal(demand(old, { queued: 1 }), false);
    assert.equal(sumLoads(fleet.routers.values(), 0).size, 0);
  });
});

describe('a trial', () => {
  const failed = [reportOn('m-2', 'Failed', { failure: { reason: 'LoadFailed', message: 'why', retryInMs: 0 } })];
  test('rests after each failure, for longer each time, and counts a failure once', () => {
    const trials = createTrials();
    assert.equal(trials.observe('m-2', [], 0).isOn, true);
    assert.equal(trials.observe('m-2', failed, 1000).isOn, false);
    assert.equal(trials.observe('m-2', failed, 15_999).isOn, false);
    assert.equal(trials.observe('m-2', [reportOn('m-2', 'Staged')], 16_000).isOn, true);
    trials.observe('m-2', failed, 20_000);
    assert.equal(trials.observe('m-2', [], 49_999).isOn, false);
    assert.equal(trials.observe('m-2', [], 50_000).isOn, true);
    assert.deepEqual(trials.failureOf('m-2'), { reason: 'LoadFailed', message: 'why' });
    trials.forgetExcept(new Set());
    assert.equal(trials.failureOf('m-2'), undefined);
  });
});
