import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { kinds } from '../../../src/api/kinds.ts';
import type { Pool } from '../../../src/api/pool.ts';
import { poolSpecSchema } from '../../../src/api/pool.ts';
import { createDoor } from '../../../src/controller/door.ts';
import { loadKeySource, SEED_SECRET } from '../../../src/controller/slot-keys.ts';
import { renderSlotPod } from '../../../src/controller/slot-pod.ts';
import { createManualClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { fail } from '../../../src/lib/result.ts';
import { createRng } from '../../../src/lib/rng.ts';
import type { AgentSession, RouterSession } from '../../../src/ports/link.ts';
import { agentHello, routerHello } from '../../support/link-messages.ts';
import { createMemoryCluster, type MemoryCluster } from '../../support/memory-cluster.ts';

const slotUsername = 'system:serviceaccount:default:stoker-slot';
let cluster: MemoryCluster;
let pool: Pool;
let podUid: string;
let podName: string;

beforeEach(async () => {
  cluster = createMemoryCluster(() => 0);
  pool = cluster.put(kinds.Pool, 'default', poolSpecSchema.parse({}));
  const made = await cluster.create(
    kinds.Pod,
    renderSlotPod(pool, 0, { linkUrl: 'ws://x', serviceAccount: 'stoker-slot', release: '1' }),
  );
  assert.ok(made.ok);
  podUid = made.value.metadata.uid ?? '';
  podName = made.value.metadata.name;
});

const doorOptions = (epoch = 3) => ({ cluster, routerUsername: 'router', slotUsername, epoch, log: silentLog });
const door = (epoch = 3) => createDoor(doorOptions(epoch));
const ends = { id: 's', send: () => true, close: () => {} };
function agent(changes: { identity?: object; hello?: object } = {}): AgentSession {
  const identity = { username: slotUsername, podUid, podName, ...changes.identity };
  return { ...ends, role: 'agent', identity, hello: { ...agentHello(podUid), ...changes.hello } };
}
const router = (username: string): RouterSession => ({
  ...ends,
  role: 'router',
  identity: { username },
  hello: routerHello(),
});

describe('who may open a session', () => {
  test('a controller that may not review tokens refuses nobody, and says what to bind', async () => {
    const message = 'tokenreviews.authentication.k8s.io is forbidden: User "c" cannot create resource "tokenreviews"';
    cluster.reviewToken = async () => fail({ reason: 'Forbidden', message });
    await assert.rejects(door().authenticate('slot'), /is forbidden.*Bind the ClusterRole system:auth-delegator/);
  });

  test('tokens of slots and of routers, for the link alone', async () => {
    cluster.tokens.set('slot', { username: slotUsername, podUid, podName });
    cluster.tokens.set('router', { username: 'router' });
    cluster.tokens.set('unbound', { username: slotUsername });
    cluster.tokens.set('other', { username: 'system:serviceaccount:default:default', podUid, podName });
    const accepted = await Promise.all(
      ['slot', 'router', 'unbound', 'other', 'nobody'].map((token) => door().authenticate(token)),
    );
    assert.deepEqual(
      accepted.map((identity) => identity?.username),
      [slotUsername, 'router', undefined, undefined, undefined],
    );
  });

  test('nobody is refused by a server that cannot answer: whoever asked comes again', async () => {
    const away = {
      ...cluster,
      reviewToken: async () => fail({ reason: 'Unavailable', message: 'it is away' } as const),
    };
    const closed = createDoor({ ...doorOptions(), cluster: away });
    await assert.rejects(closed.authenticate('slot'), /it is away/);
  });

  test('the agent of a Pod that a Pool owns', () => {
    assert.equal(door().admit(agent()), undefined);
  });

  const refused: readonly [string, () => AgentSession | RouterSession, RegExp][] = [
    ['an agent that says it is another Pod', () => agent({ hello: { podUid: 'other' } }), /another Pod/],
    ['an agent of a Pod that is gone', () => agent({ identity: { podName: 'gone' } }), /no such Pod/],
    ['a router that says hello as an agent', () => agent({ identity: { username: 'router' } }), /only a slot/],
    ['an agent that says hello as a router', () => router(slotUsername), /only a router/],
    ['who obeyed a newer controller', () => agent({ hello: { fence: { epoch: 4, seq: 0 } } }), /newer controller/],
  ];
  for (const [name, session, sentence] of refused) {
    test(`not ${name}`, () => assert.match(door().admit(session()) ?? '', sentence));
  }

  test('not a Pod that somebody made look like a slot', async () => {
    const copy = cluster.must(kinds.Pod, podName);
    const stranger = { ...copy, metadata: { name: 'stranger', labels: { 'stoker.dev/pool': 'default' } } };
    const made = await cluster.create(kinds.Pod, stranger);
    assert.ok(made.ok);
    const { uid = '' } = made.value.metadata;
    const session = agent({ identity: { podName: 'stranger', podUid: uid }, hello: { podUid: uid } });
    assert.match(door().admit(session) ?? '', /no Pool owns/);
  });
});

describe('the seed of the slot keys', () => {
  const context = { clock: createManualClock(), rng: createRng(1), log: silentLog };
  const { signal } = new AbortController();

  test('is made once and kept', async () => {
    const { seed } = await loadKeySource(cluster, context, signal);
    assert.equal(seed.length, 32);
    assert.deepEqual(Buffer.from((await loadKeySource(cluster, context, signal)).seed), Buffer.from(seed));
    assert.deepEqual(
      cluster.writes.filter((write) => write.includes('Secret')),
      [`create Secret ${SEED_SECRET}`],
    );
  });

  test('is waited for while the API is away', async () => {
    cluster.fault = { reason: 'Unavailable', message: 'away' };
    let isThere = false;
    const loading = loadKeySource(cluster, context, signal).then(() => {
      isThere = true;
    });
    for (let turn = 0; turn < 3; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      context.clock.fireNext();
    }
    assert.equal(isThere, false);
    cluster.fault = undefined;
    for (let turn = 0; turn < 3; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      context.clock.fireNext();
    }
    await loading;
  });
});
