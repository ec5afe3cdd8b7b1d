// Releases that speak link version 1 (the first one) and this one: what was recorded of them is still read whole, and what is
// said to them is what they read. The schemas in fixtures/ are those of that release; they never change.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, test } from 'node:test';
import { type WebSocket, WebSocketServer } from 'ws';
import { z } from 'zod';
import { kinds } from '../../../src/api/kinds.ts';
import {
  agentToHubSchema,
  hubToAgentSchema,
  hubToRouterSchema,
  type InstanceReport,
  LINK_VERSION_MAX,
  LINK_VERSION_MIN,
  routerToHubSchema,
} from '../../../src/api/link.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { createRng } from '../../../src/lib/rng.ts';
import { createAgentSpoke, createRouterSpoke } from '../../../src/link/spoke.ts';
import { agentHello, routerHello } from '../../support/link-messages.ts';
import { createLinkWorld, type LinkWorld, type WorldAgent } from '../../support/link-world.ts';
import { until } from '../../support/until.ts';

const directions = ['agentToHub', 'hubToAgent', 'routerToHub', 'hubToRouter'] as const;
type Direction = (typeof directions)[number];
const today = {
  agentToHub: agentToHubSchema,
  hubToAgent: hubToAgentSchema,
  routerToHub: routerToHubSchema,
  hubToRouter: hubToRouterSchema,
} as const satisfies Record<Direction, z.ZodType>;

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`./fixtures/${name}.json`, import.meta.url), 'utf8'));
const messages = z.record(z.enum(directions), z.array(z.looseObject({ type: z.string() }))).parse(read('messages'));
const schemas = z.record(z.enum(directions), z.custom<z.core.JSONSchema.JSONSchema>()).parse(read('schemas'));

/** Fails when a release of link version 1 could not read the message. */
function assertReadableByV1(direction: Direction, message: unknown): void {
  const parsed = z.fromJSONSchema(schemas[direction]).safeParse(message);
  assert.ok(parsed.success, `${JSON.stringify(message)}: ${parsed.error?.message}`);
}

const first = { min: 1, max: 1 } as const;
const current = { min: LINK_VERSION_MIN, max: LINK_VERSION_MAX } as const;
const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function startWorld(): Promise<LinkWorld> {
  const world = await createLinkWorld();
  ends.push(() => world.stop());
  return world;
}

describe('messages of version 1', () => {
  for (const direction of directions) {
    for (const message of messages[direction]) {
      test(`${direction}: ${message.type} is read whole`, () => {
        assertReadableByV1(direction, message);
        assert.deepEqual(today[direction].parse(message), message);
      });
    }
  }

  test('the kept schemas tell wrong messages from right ones', () => {
    const target = messages.hubToAgent.find(({ type }) => type === 'target');
    assert.throws(() => assertReadableByV1('hubToAgent', { ...target, instances: [{ launch: { engine: 'Sim' } }] }));
    assert.throws(() => assertReadableByV1('agentToHub', { type: 'report' }));
  });
});

/** A hub of version 1: takes a hello, and says what was recorded. */
async function startFirstHub(direction: 'hubToAgent' | 'hubToRouter'): Promise<{ url: string; hellos: unknown[] }> {
  const hellos: unknown[] = [];
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  server.on('connection', (socket: WebSocket) => {
    socket.once('message', (bytes: Buffer) => {
      hellos.push(JSON.parse(bytes.toString('utf8')));
      for (const message of messages[direction]) socket.send(JSON.stringify(message));
    });
  });
  ends.push(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`, hellos };
}

describe('a hub of version 1', () => {
  const common = { token: async () => 'good', clock: systemClock, rng: createRng(1), log: silentLog };

  test('is obeyed by an agent of this release', async () => {
    const { url, hellos } = await startFirstHub('hubToAgent');
    const heard: unknown[] = [];
    const hello = () => ({ ...agentHello(), versions: current });
    const handlers = { onOpen: () => {}, onMessage: (message: unknown) => void heard.push(message), onClose: () => {} };
    const spoke = createAgentSpoke({ ...common, url: () => url, hello }, handlers);
    ends.push(() => spoke.stop());
    spoke.start();
    await until(() => heard.length === 2, 'target and withdrawn');
    assert.deepEqual(heard, messages.hubToAgent.slice(1));
    assertReadableByV1('agentToHub', hellos[0]);
  });

  test('is followed by a router of this release', async () => {
    const { url, hellos } = await startFirstHub('hubToRouter');
    const heard: unknown[] = [];
    const hello = () => ({ ...routerHello(), versions: current });
    const handlers = { onOpen: () => {}, onMessage: (message: unknown) => void heard.push(message), onClose: () => {} };
    const spoke = createRouterSpoke({ ...common, url: () => url, hello }, handlers);
    ends.push(() => spoke.stop());
    spoke.start();
    await until(() => heard.length === 2, 'the tables');
    assert.deepEqual(heard, messages.hubToRouter.slice(1));
    assertReadableByV1('routerToHub', hellos[0]);
  });
});

const simulated = { weights: { simulated: { profile: 'Size7B' } }, engine: { name: 'Sim' } };

function awake({ pod }: WorldAgent, revision: string, changes: Partial<InstanceReport> = {}): InstanceReport {
  const id = `${pod.metadata.uid}/${revision}/1`;
  const [model = ''] = revision.split(/-[0-9a-f]{10}$/);
  const idle = { inFlight: 0, rungAgeMs: 60_000 };
  return { id, model, revision, rung: 'Awake', probed: true, engineBuild: 'builtin:1', ...idle, ...changes };
}

const stableOf = (world: LinkWorld, name: string) => world.cluster.get(kinds.Model, name)?.status?.stableRevision;

describe('an agent of version 1 with this controller', () => {
  test('is told what it can read, and never a simulated model, which goes to an agent that knows it', async () => {
    const world = await startWorld();
    const router = await world.router(current);
    world.pool('default', 2);
    const older = await world.agent(first);
    const newer = await world.agent(current);
    world.model('real');
    world.model('imitated', { version: simulated });
    await until(() => stableOf(world, 'real') !== undefined && stableOf(world, 'imitated') !== undefined, 'the pins');
    router.demand([
      { model: 'real', queued: 1 },
      { model: 'imitated', queued: 1 },
    ]);
    const awakeIn = ({ messages: told }: WorldAgent) =>
      told
        .findLast((message) => message.type === 'target')
        ?.instances.filter(({ rung }) => rung === 'Awake')
        .map(({ model }) => model);
    await until(() => awakeIn(older)?.length === 1 && awakeIn(newer)?.length === 1, 'both');
    assert.deepEqual([awakeIn(older), awakeIn(newer)], [['real'], ['imitated']]);
    for (const message of older.messages) assertReadableByV1('hubToAgent', message);
  });

  test('alone, it is never told a simulated model', async () => {
    const world = await startWorld();
    const router = await world.router(current);
    world.pool('default');
    const older = await world.agent(first);
    world.model('imitated', { version: simulated });
    world.model('real');
    await until(() => stableOf(world, 'imitated') !== undefined && stableOf(world, 'real') !== undefined, 'the pins');
    router.demand([{ model: 'imitated', queued: 1, oldestQueuedMs: 60_000 }]);
    router.demand([
      { model: 'imitated', queued: 1, oldestQueuedMs: 60_000 },
      { model: 'real', queued: 1 },
    ]);
    await until(
      () => older.messages.some((message) => message.type === 'target' && message.instances.length > 0),
      'the other model',
    );
    for (const message of older.messages) assertReadableByV1('hubToAgent', message);
  });
});

describe('a router of version 1 with this controller', () => {
  test('gets tables that it can read, and the truth about models that it has no way to', async () => {
    const world = await startWorld();
    const [older, newer] = [await world.router(first), await world.router(current)];
    const remote = { baseUrl: 'https://api.example.com/v1', model: 'their-model' };
    world.pool('default');
    world.model('theirs', { version: { remote, engine: { name: 'Remote' } } });
    const tables = ({ messages: told }: typeof older) => told.filter((message) => message.type === 'table');
    const warmth = (router: typeof older) =>
      tables(router).findLast(({ endpoints }) => endpoints !== undefined)?.endpoints?.data.warmth[0];
    await until(() => warmth(newer)?.rung === 'Awake', 'the way to the upstream');
    await until(() => warmth(older)?.failure?.reason === 'RouterOutdated', 'the truth');
    const upstreams = tables(newer).flatMap(({ endpoints }) => endpoints?.data.upstreams ?? []);
    assert.equal(upstreams.at(-1)?.upstreamModel, 'their-model');
    for (const table of tables(older)) {
      assertReadableByV1('hubToRouter', table);
      assert.equal(table.endpoints?.data.upstreams, undefined);
      assert.equal(table.keys?.data.upstreams, undefined);
    }
  });
});

for (const [age, versions] of [
  ['an earlier', { min: 0, max: 0 }],
  ['a later', { min: LINK_VERSION_MAX + 1, max: LINK_VERSION_MAX + 3 }],
] as const) {
  // A spoke of this release refuses a welcome in a version that it does not speak, so this one is a bare socket.
  test(`an agent of ${age} age is routed to, told nothing, said to be outdated, and replaced when it is idle`, async () => {
    const world = await startWorld();
    const router = await world.router(current);
    world.pool('default');
    world.model('real');
    await until(() => stableOf(world, 'real') !== undefined, 'the pin');
    const revision = stableOf(world, 'real') ?? '';
    const agent = await world.bareAgent(versions);
    agent.report([awake(agent, revision, { inFlight: 1 })]);
    const endpoints = () =>
      router.messages.filter((message) => message.type === 'table').findLast((table) => table.endpoints !== undefined)
        ?.endpoints?.data.endpoints;
    await until(() => endpoints()?.[0]?.revision === revision, 'its endpoint');
    const outdated = () =>
      world.cluster.get(kinds.Pool, 'default')?.status?.conditions?.find(({ type }) => type === 'AgentOutdated');
    await until(() => outdated()?.status === 'True', 'the condition');
    assert.ok(outdated()?.message.includes(agent.pod.metadata.name));
    assert.ok(world.cluster.events.some(({ reason }) => reason === 'AgentOutdated'));
    router.demand([]);
    assert.equal(world.cluster.get(kinds.Pod, agent.pod.metadata.name)?.metadata.deletionTimestamp, undefined);
    agent.report([awake(agent, revision)]);
    const isLeaving = () =>
      world.cluster.get(kinds.Pod, agent.pod.metadata.name)?.metadata.deletionTimestamp !== undefined;
    await until(isLeaving, 'its end');
    assert.deepEqual(
      agent.messages.map(({ type }) => type),
      ['welcome'],
    );
  });
}
