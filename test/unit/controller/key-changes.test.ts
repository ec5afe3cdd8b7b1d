// However messages of a change of keys are late or overtaken by rotations, by routers that come and go and by new controllers:
// no router that may send something shows a key that the agent refuses, and no request that is on its way does.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Fleet } from '../../../src/controller/fleet.ts';
import { createKeyChanges } from '../../../src/controller/key-changes.ts';

const POD = 'pod-1';
const ROUTERS = ['a', 'b'] as const;
/** Above the time in which a router connects. */
const ON_ITS_WAY_MS = 3000;
type RouterName = (typeof ROUTERS)[number];

interface Letter {
  readonly section: number;
  /** Undefined: the table does not know the slot. */
  readonly key: number | undefined;
}

class World {
  wanted = 1;
  nowMs = 0;
  agentAccepts: readonly number[] = [];
  readonly held = new Map<RouterName, number | undefined>();
  readonly leftAtMs = new Map<RouterName, number>();
  #requests: { readonly key: number; readonly atMs: number }[] = [];
  #seq = 0;
  #toAgent: (readonly number[])[] = [];
  readonly #toRouter = new Map<RouterName, Letter[]>();
  readonly #sections = new Map<RouterName, number>();
  #reported: readonly number[] | undefined;
  #routers = new Map<string, unknown>();
  #departed = new Map<string, { atMs: number; keys: number }>();
  #changes = this.#create();

  #create() {
    const agents = {
      get: (podUid: string) => (podUid === POD ? { report: this.#reportText() } : undefined),
    };
    // Only what the module reads of a fleet.
    const fleet = { agents, routers: this.#routers, departed: this.#departed } as unknown as Fleet;
    return createKeyChanges({ fleet, ring: { wanted: () => this.wanted, key: (_, version) => `key ${version}` } });
  }

  #reportText() {
    return this.#reported === undefined ? undefined : { keyVersions: this.#reported };
  }

  plan(): void {
    this.#changes.step([POD], { seq: this.#seq, nowMs: this.nowMs });
    const [carried] = this.#changes.carried(POD);
    const key = carried?.version;
    for (const [name, record] of this.#routers) {
      const { sent } = record as { sent: Map<string, { version: number; content: string }> };
      // A table without the slot's key names none of its instances either.
      if (sent.get('keys')?.content === String(key)) continue;
      this.#seq += 1;
      sent.set('keys', { version: this.#seq, content: String(key) });
      this.#toRouter.get(name as RouterName)?.push({ section: this.#seq, key });
    }
    if (this.#reported !== undefined) this.#toAgent.push(this.#changes.accepted(POD).map(({ version }) => version));
  }

  report(): void {
    this.#reported = this.agentAccepts;
  }

  tellAgent(): void {
    this.agentAccepts = this.#toAgent.shift() ?? this.agentAccepts;
  }

  tellRouter(name: RouterName): void {
    const letter = this.#toRouter.get(name)?.shift();
    if (letter === undefined) return;
    this.held.set(name, letter.key);
    this.#sections.set(name, letter.section);
  }

  send(name: RouterName): void {
    const key = this.held.get(name);
    if (key !== undefined && this.#routers.has(name)) this.#requests.push({ key, atMs: this.nowMs });
  }

  acknowledge(name: RouterName): void {
    const record = this.#routers.get(name) as { acknowledged: unknown } | undefined;
    const keys = this.#sections.get(name);
    if (record !== undefined && keys !== undefined) record.acknowledged = { policy: 0, endpoints: 0, keys };
  }

  join(name: RouterName): void {
    if (this.#routers.has(name)) return;
    // Away for so long, it comes with a key that may be refused (StaleKey, which costs nothing) until its first table is there.
    if (this.#isGone(name)) this.held.delete(name);
    this.#departed.delete(name);
    this.leftAtMs.delete(name);
    this.#toRouter.set(name, []);
    // A router acknowledges tables as they come, and the first one of a session has every section.
    this.#sections.delete(name);
    this.#routers.set(name, { sent: new Map(), acknowledged: undefined });
  }

  leave(name: RouterName): void {
    const record = this.#routers.get(name) as
      | { sent: Map<string, unknown>; acknowledged: { keys: number } | undefined }
      | undefined;
    if (record === undefined) return;
    this.#routers.delete(name);
    const keys = record.sent.has('keys') ? (record.acknowledged?.keys ?? 0) : 0;
    this.#departed.set(name, { atMs: this.nowMs, keys });
    this.leftAtMs.set(name, this.nowMs);
  }

  /** Another controller: nobody has said hello to it yet, and versions of sections begin anew. */
  succeed(): void {
    for (const name of ROUTERS) {
      if (this.#routers.has(name)) this.leftAtMs.set(name, this.nowMs);
      this.#toRouter.set(name, []);
    }
    [this.#routers, this.#departed, this.#toAgent, this.#reported] = [new Map(), new Map(), [], undefined];
    this.#seq = 0;
    this.#changes = this.#create();
  }

  changing = () => this.#changes.changing();

  #isGone(name: RouterName): boolean {
    return this.nowMs - (this.leftAtMs.get(name) ?? this.nowMs) >= 10_000;
  }

  /** Routers that are there, or left so short a time ago that they may still send. */
  check(): void {
    for (const name of ROUTERS) {
      const held = this.held.get(name);
      if (held === undefined || this.#isGone(name) || this.agentAccepts.length === 0) continue;
      assert.ok(this.agentAccepts.includes(held), `${name} shows ${held}, accepted: ${this.agentAccepts.join()}`);
    }
    this.#requests = this.#requests.filter(({ atMs }) => this.nowMs - atMs < ON_ITS_WAY_MS);
    for (const { key } of this.#requests)
      assert.ok(this.agentAccepts.includes(key), `a request shows ${key}, accepted: ${this.agentAccepts.join()}`);
  }

  /** Everybody is there and everything arrives. */
  settle(): void {
    this.nowMs += 10_000;
    for (let turn = 0; turn < 60; turn += 1) {
      for (const name of ROUTERS) this.join(name);
      this.report();
      this.nowMs += 1000;
      this.plan();
      for (let letter = 0; letter < 100; letter += 1) this.tellAgent();
      for (const name of ROUTERS) {
        for (let letter = 0; letter < 100; letter += 1) this.tellRouter(name);
        this.acknowledge(name);
      }
      this.check();
    }
  }
}

type Step = (world: World, name: RouterName) => void;

const often: readonly Step[] = [
  (world) => world.plan(),
  (world) => world.report(),
  (world) => world.tellAgent(),
  (world, name) => world.tellRouter(name),
  (world, name) => world.send(name),
  (world, name) => world.acknowledge(name),
];
/** The common ones several times, so that changes get far before something comes between. */
const steps: readonly Step[] = [
  ...[...often, ...often, ...often, ...often],
  (world, name) => world.join(name),
  (world, name) => world.leave(name),
  (world) => {
    world.wanted += 1;
  },
  (world) => {
    world.nowMs += 3000;
  },
  (world) => world.succeed(),
];

describe('the change of slot keys', () => {
  test('never leaves a router with a key that is refused, and comes to an end', () => {
    const step = fc.tuple(fc.nat(steps.length - 1), fc.constantFrom(...ROUTERS));
    fc.assert(
      fc.property(fc.array(step, { minLength: 60, maxLength: 200, size: 'max' }), (sequence) => {
        const world = new World();
        world.settle();
        for (const [index, name] of sequence) {
          steps[index]?.(world, name);
          world.check();
        }
        world.settle();
        assert.equal(world.changing(), 0);
        assert.deepEqual(world.agentAccepts, [world.wanted]);
        for (const name of ROUTERS) assert.equal(world.held.get(name), world.wanted);
      }),
      { numRuns: 3000 },
    );
  });
});
