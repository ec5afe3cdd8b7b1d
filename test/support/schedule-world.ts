// A small fleet that lives through a schedule of requests and faults: the planner, placement, its linter and the agent's plan as
// they are, with engines, routers and time made up. Throws at once when something happens that must never happen.
import assert from 'node:assert/strict';
import { agentLimits } from '../../src/agent/limits.ts';
import { judgeSleep, noSleeps, type SleepRecord } from '../../src/agent/sleep-budget.ts';
import { planSlot, type Wanted } from '../../src/agent/slot-plan.ts';
import { type Rung, residentRungs } from '../../src/api/link.ts';
import { checkPlacement } from '../../src/core/check/placement.ts';
import { planPlacement } from '../../src/core/plan/place.ts';
import { createFleetPlanner, type ModelOrder } from '../../src/core/plan/pool/fleet-planner.ts';
import { isFreeSlot, readSupply } from '../../src/core/plan/scale/supply-reading.ts';
import { type Assignment, awakeIn, type InstanceView, type SlotView } from '../../src/core/plan/snapshot.ts';
import { createRng, type Rng } from '../../src/lib/rng.ts';
import { claimFor, placeSnapshot } from './placement.ts';
import { scalerInput } from './scaler.ts';

export const scheduleModels: readonly string[] = ['a-1', 'b-1', 'c-1'];
const SLOTS = 2;
const START_MS = 3000;
const WAKE_MS = 500;
const SLEEP_MS = 500;
const STEP_MS = 500;
const CONCURRENCY = 2;
const LEAK_BYTES = 3.4 * 1024 ** 3;
const LEASE_MS = 60_000;
const CALM_MS = 25_000;

export type ScheduleEvent =
  | { readonly type: 'request'; readonly model: number; readonly servedMs: number }
  /** A request that does not wait: it is refused, and told to come back. */
  | { readonly type: 'coldCaller'; readonly model: number }
  | { readonly type: 'silence'; readonly ms: number }
  | { readonly type: 'disconnect'; readonly slot: number; readonly ms: number }
  | { readonly type: 'crash'; readonly slot: number }
  | { readonly type: 'time'; readonly ms: number };

export interface Schedule {
  readonly seed: number;
  readonly events: readonly ScheduleEvent[];
  /** Models whose engines leak at every sleep. */
  readonly leaking: readonly number[];
  /** Share of climbs and sleeps that go wrong: fail, come up partly, or take ten times as long. */
  readonly faultShare: number;
}

/** The parts under test; a test of the test puts a broken one in. */
export interface ScheduleParts {
  readonly planSlot: typeof planSlot;
  readonly judgeSleep: typeof judgeSleep;
  readonly hearsLeases: boolean;
  readonly keepsRefused: boolean;
}

export const realParts: ScheduleParts = { planSlot, judgeSleep, hearsLeases: true, keepsRefused: true };

interface Engine {
  readonly revision: string;
  rung: Rung;
  sinceMs: number;
  /** Ends of the requests in flight. */
  flights: number[];
  retryAtMs: number;
  sleeps: SleepRecord;
  heldBytes: number;
  /** The transition under way and how it ends. */
  work: { readonly endsMs: number; readonly type: string; readonly isWell: boolean } | undefined;
}

interface FakeSlot {
  readonly name: string;
  readonly engines: Map<string, Engine>;
  assigned: readonly Assignment[];
  told: readonly Assignment[];
  awayUntilMs: number;
}

interface Waiting {
  readonly sinceMs: number;
  readonly servedMs: number;
}

export class ScheduleWorld {
  #nowMs = 0;
  readonly #parts: ScheduleParts;
  readonly #schedule: Schedule;
  readonly #rng: Rng;
  readonly #planner = createFleetPlanner();
  readonly #slots: FakeSlot[];
  readonly #queues = new Map<string, Waiting[]>(scheduleModels.map((model) => [model, []]));
  readonly #leases = new Map<string, number>();
  /** Whose promise was kept. */
  readonly #kept = new Set<string>();
  #faultShare: number;
  #silentUntilMs = 0;
  #silentSinceMs: number | undefined;
  #heard: ReadonlyMap<string, { waiting: readonly Waiting[]; leaseMs: number }> = new Map();
  /** From then on nothing of what was disturbed is left to be made up for. */
  #calmFromMs = 0;
  #accepted = 0;
  #served = 0;

  constructor(schedule: Schedule, parts: ScheduleParts = realParts) {
    this.#schedule = schedule;
    this.#parts = parts;
    this.#rng = createRng(schedule.seed);
    this.#faultShare = schedule.faultShare;
    this.#slots = Array.from({ length: SLOTS }, (_, index) => createSlot(`s${index}`));
    const cost = { stepMs: 10, perSequenceMs: 1, perPromptTokenMs: 0.05 };
    const guess = { cost, outputTokens: 50, startMs: START_MS, wakeMs: WAKE_MS, sleepMs: SLEEP_MS, drainMs: 500 };
    for (const model of scheduleModels) this.#planner.add(model, { guess, sinceMs: 0 });
  }

  /** Lives through the schedule, then without faults until everybody was served. */
  run(): void {
    for (const event of this.#schedule.events) this.#happen(event);
    this.#faultShare = 0;
    const endMs = this.#nowMs + 600_000;
    while (this.#hasWork()) {
      assert.ok(
        this.#nowMs < endMs,
        `everybody is served once nothing fails: ${this.#accepted - this.#served} are not`,
      );
      this.#step();
    }
    assert.equal(this.#served, this.#accepted, 'no request is lost');
  }

  #hasWork(): boolean {
    const waiting = [...this.#queues.values()].some((queue) => queue.length > 0);
    const flying = this.#slots.some(({ engines }) => [...engines.values()].some(({ flights }) => flights.length > 0));
    return waiting || flying || [...this.#leases.values()].some((endMs) => endMs > this.#nowMs);
  }

  #happen(event: ScheduleEvent): void {
    switch (event.type) {
      case 'request':
        this.#accepted += 1;
        this.#hear(event.model);
        this.#queueOf(event.model).push({ sinceMs: this.#nowMs, servedMs: event.servedMs });
        break;
      case 'coldCaller':
        this.#hear(event.model);
        this.#leases.set(scheduleModels[event.model] ?? '', this.#nowMs + LEASE_MS);
        this.#kept.delete(scheduleModels[event.model] ?? '');
        break;
      case 'silence':
        this.#silentUntilMs = Math.max(this.#silentUntilMs, this.#nowMs + event.ms);
        this.#disturb(event.ms);
        break;
      case 'disconnect':
        slotAt(this.#slots, event.slot).awayUntilMs = this.#nowMs + event.ms;
        this.#disturb(event.ms);
        break;
      case 'crash':
        this.#crash(slotAt(this.#slots, event.slot));
        this.#disturb(0);
        break;
      case 'time':
        for (let left = event.ms; left > 0; left -= STEP_MS) this.#step();
    }
    this.#step();
  }

  #disturb(ms: number): void {
    this.#calmFromMs = Math.max(this.#calmFromMs, this.#nowMs + ms + CALM_MS);
  }

  #queueOf = (model: number) => this.#queues.get(scheduleModels[model] ?? '') ?? [];

  #hear(model: number): void {
    const arrived = { type: 'Arrived', atMs: this.#nowMs, requests: 1, promptTokens: 500 } as const;
    if (this.#nowMs >= this.#silentUntilMs) this.#planner.tell(scheduleModels[model] ?? '', arrived);
  }

  #step(): void {
    this.#nowMs += STEP_MS;
    for (const slot of this.#slots) this.#work(slot);
    this.#plan();
    for (const slot of this.#slots) this.#work(slot);
    this.#route();
    this.#checkLeases();
  }

  #plan(): void {
    const isSilent = this.#nowMs < this.#silentUntilMs;
    this.#silentSinceMs = isSilent ? (this.#silentSinceMs ?? this.#nowMs) : undefined;
    if (!isSilent) this.#listen();
    const slots = this.#slots.map((slot) => this.#view(slot));
    const signalAgeMs = this.#nowMs - (this.#silentSinceMs ?? this.#nowMs);
    const models = new Map(scheduleModels.map((model) => [model, this.#read(model, { slots, signalAgeMs })]));
    const orders = this.#planner.decide({ models, slots: SLOTS });
    for (const [model, { desired }] of orders) {
      const ordered = models.get(model)?.ordered ?? 0;
      if (signalAgeMs > 5000) assert.ok(desired >= ordered, `${model} is lowered in a silence of ${signalAgeMs} ms`);
    }
    const snapshot = placeSnapshot(
      slots,
      scheduleModels.map((model) => this.#claim(model, orders.get(model))),
    );
    const placement = planPlacement(snapshot);
    assert.deepEqual(checkPlacement(snapshot, placement), []);
    for (const slot of this.#slots) {
      slot.assigned = placement.assigned.get(slot.name) ?? slot.assigned;
      if (this.#nowMs >= slot.awayUntilMs) slot.told = slot.assigned;
    }
  }

  /** What routers say: a refused caller and who waits. */
  #listen(): void {
    this.#heard = new Map(
      scheduleModels.map((model) => {
        const leaseMs = Math.max(0, (this.#leases.get(model) ?? 0) - this.#nowMs);
        return [
          model,
          { waiting: [...(this.#queues.get(model) ?? [])], leaseMs: this.#parts.hearsLeases ? leaseMs : 0 },
        ];
      }),
    );
  }

  #read(model: string, { slots, signalAgeMs }: { slots: readonly SlotView[]; signalAgeMs: number }) {
    const { waiting = [], leaseMs = 0 } = this.#heard.get(model) ?? {};
    const wanted = slots.filter((slot) => awakeIn(slot)?.revision === model);
    const { ordered, ready, pending, idleMs, inFlight } = readSupply(model, {
      holding: slots,
      wanted,
      isAnyFree: slots.some(isFreeSlot),
    });
    return scalerInput({
      nowMs: this.#nowMs,
      signalAgeMs,
      max: SLOTS,
      objective: { firstTokenMsMax: 5000, gapMsMax: 100, sequencesMax: CONCURRENCY },
      waitingTokens: waiting.map(() => 500),
      oldestWaitMs: this.#nowMs - (waiting[0]?.sinceMs ?? this.#nowMs),
      hasWakeLease: leaseMs > 0,
      inFlight,
      idleMs,
      ordered,
      ready,
      pending,
    });
  }

  #claim(model: string, order: ModelOrder | undefined) {
    const { waiting = [], leaseMs = 0 } = this.#heard.get(model) ?? {};
    const { desired = 0, coldMax = 0, pressing = 0, climb, chance = 0 } = order ?? {};
    const flying = this.#slots.some(({ engines }) => (engines.get(model)?.flights.length ?? 0) > 0);
    return claimFor(model, desired, {
      coldMax,
      pressing,
      chance,
      ...(climb === undefined ? {} : { climb }),
      isBusy: waiting.length > 0 || flying || leaseMs > 0,
      waitedMs: this.#nowMs - (waiting[0]?.sinceMs ?? this.#nowMs),
    });
  }

  #view({ name, engines, assigned, awayUntilMs }: FakeSlot): SlotView {
    const instances = [...engines.values()].map(
      ({ revision, rung, sinceMs, flights, retryAtMs }): InstanceView => ({
        id: `${name}/${revision}/1`,
        model: revision.slice(0, 1),
        revision,
        rung,
        probed: rung === 'Awake',
        inFlight: flights.length,
        rungAgeMs: this.#nowMs - sinceMs,
        failures: undefined,
        ...(rung === 'Failed'
          ? { failure: { reason: 'It', message: 'failed', retryInMs: Math.max(0, retryAtMs - this.#nowMs) } }
          : {}),
      }),
    );
    const isUsable = this.#nowMs >= awayUntilMs;
    return { podUid: name, name, pool: 'default', isUsable, isLeaving: false, instances, assigned };
  }

  /** The agent: ends what is over, then does what its plan says until there is nothing to do. */
  #work(slot: FakeSlot): void {
    for (const engine of slot.engines.values()) {
      const flying = engine.flights.filter((endMs) => endMs > this.#nowMs);
      this.#served += engine.flights.length - flying.length;
      engine.flights = flying;
      if (engine.work !== undefined && engine.work.endsMs <= this.#nowMs) this.#end(engine, engine.work);
    }
    for (const { revision } of slot.told)
      if (!slot.engines.has(revision)) slot.engines.set(revision, createEngine(revision, this.#nowMs));
    for (let turn = 0; turn < 20 && this.#act(slot); turn += 1);
    const residents = [...slot.engines.values()].filter(({ rung }) => residentRungs.has(rung));
    assert.ok(residents.length <= 1, `${slot.name} holds ${residents.map(({ revision }) => revision).join(' and ')}`);
  }

  #act(slot: FakeSlot): boolean {
    const wanted = new Map<string, Wanted>(slot.told.map(({ revision, rung }) => [revision, rung]));
    const moving = [...slot.engines.values()].find(({ work }) => work !== undefined);
    const { action } = this.#parts.planSlot({
      instances: [...slot.engines.values()].map((engine) => ({
        revision: engine.revision,
        rung: engine.rung,
        wanted: wanted.get(engine.revision) ?? 'Absent',
        inFlight: engine.flights.length,
        drainLeftMs: Number.POSITIVE_INFINITY,
        retryInMs: Math.max(0, engine.retryAtMs - this.#nowMs),
      })),
      ...(moving === undefined ? {} : { moving: moving.revision }),
      isGivingUp: false,
    });
    const engine = slot.engines.get(action?.revision ?? '');
    if (action === undefined || engine === undefined) return false;
    this.#obey(slot, engine, action.type);
    return true;
  }

  #obey(slot: FakeSlot, engine: Engine, type: string): void {
    const begin = (rung: Rung, ms: number) => {
      if (type !== 'stop' || engine.rung !== 'Asleep') this.#move(engine, rung);
      const isWell = type === 'stop' || !this.#strikes();
      const isSlow = !isWell && this.#rng.below(3) === 0;
      engine.work = { type, endsMs: this.#nowMs + (isSlow ? 10 * ms : ms), isWell: isWell || isSlow };
    };
    if (type === 'drain') this.#move(engine, 'Draining');
    else if (type === 'resume') this.#move(engine, 'Awake');
    else if (type === 'settle') this.#move(engine, 'Staged');
    else if (type === 'forget') slot.engines.delete(engine.revision);
    else if (type === 'giveUp') this.#stop(engine, 'Staged');
    else if (type === 'start') begin('Starting', START_MS);
    else if (type === 'wake') begin('Waking', WAKE_MS);
    else if (type === 'sleep') begin('Sleeping', SLEEP_MS);
    else begin('Stopping', SLEEP_MS);
  }

  #strikes(): boolean {
    return this.#rng.below(10_000) < this.#faultShare * 10_000;
  }

  #end(engine: Engine, { type, isWell }: NonNullable<Engine['work']>): void {
    engine.work = undefined;
    if (type === 'stop') this.#stop(engine, 'Staged');
    // One that is up in part only does not pass the probe: it is ended like one that is not up at all.
    else if (!isWell) this.#fail(engine);
    else if (type === 'sleep') this.#settleSleep(engine);
    else {
      this.#planner.tell(engine.revision, {
        type: 'Climbed',
        from: type === 'wake' ? 'Asleep' : 'Staged',
        tookMs: 500,
      });
      this.#move(engine, 'Awake');
    }
  }

  #settleSleep(engine: Engine): void {
    if (this.#schedule.leaking.includes(scheduleModels.indexOf(engine.revision))) engine.heldBytes += LEAK_BYTES;
    const { record, verdict } = this.#parts.judgeSleep(engine.sleeps, engine.heldBytes, agentLimits);
    engine.sleeps = record;
    if (verdict.type !== 'keep') this.#fail(engine);
    else this.#move(engine, 'Asleep');
    const isLeaking = engine.heldBytes > LEAK_BYTES;
    assert.ok(
      engine.sleeps.count < 2 || !isLeaking,
      `${engine.revision} leaked and slept ${engine.sleeps.count} times`,
    );
  }

  #fail(engine: Engine): void {
    this.#stop(engine, 'Failed');
    engine.retryAtMs = this.#nowMs + 1000;
  }

  /** Its requests go back to the head of their queue. */
  #stop(engine: Engine, rung: 'Staged' | 'Failed'): void {
    const back = engine.flights.map((endMs): Waiting => ({ sinceMs: this.#nowMs, servedMs: endMs - this.#nowMs }));
    Object.assign(engine, { work: undefined, sleeps: noSleeps, heldBytes: 0, flights: [] });
    if (this.#parts.keepsRefused) this.#queues.get(engine.revision)?.unshift(...back);
    this.#move(engine, rung);
  }

  #crash({ engines }: FakeSlot): void {
    for (const engine of engines.values()) {
      if (engine.rung !== 'Staged' && engine.rung !== 'Failed') this.#fail(engine);
    }
  }

  #move(engine: Engine, rung: Rung): void {
    engine.rung = rung;
    engine.sinceMs = this.#nowMs;
  }

  /** Routers go by what is assigned; the agent has the last word. */
  #route(): void {
    for (const { told, assigned, engines } of this.#slots) {
      const awake = assigned.find(({ rung }) => rung === 'Awake')?.revision ?? '';
      const engine = engines.get(awake);
      const isOpen =
        engine?.rung === 'Awake' && told.some(({ revision, rung }) => revision === awake && rung === 'Awake');
      const queue = this.#queues.get(awake) ?? [];
      while (engine !== undefined && isOpen && engine.flights.length < CONCURRENCY) {
        const next = queue.shift();
        if (next === undefined) break;
        engine.flights.push(this.#nowMs + next.servedMs);
      }
    }
  }

  /** Before a promise is over, the model was up or on its way: when others compete for the slots, it had its turn. */
  #checkLeases(): void {
    const isDisturbed = this.#faultShare > 0 || this.#nowMs < this.#calmFromMs;
    for (const [model, endMs] of this.#leases) {
      if (this.#slots.some(({ engines }) => isOnItsWay(engines.get(model)?.rung))) this.#kept.add(model);
      if (endMs > this.#nowMs) continue;
      assert.ok(isDisturbed || this.#kept.has(model), `${model} was promised to a caller and was never awake`);
      this.#leases.delete(model);
    }
  }
}

function isOnItsWay(rung: Rung | undefined): boolean {
  return rung === 'Awake' || rung === 'Starting' || rung === 'Waking';
}

function createSlot(name: string): FakeSlot {
  return { name, engines: new Map(), assigned: [], told: [], awayUntilMs: 0 };
}

function slotAt(slots: readonly FakeSlot[], index: number): FakeSlot {
  const slot = slots[index % slots.length];
  assert.ok(slot !== undefined);
  return slot;
}

function createEngine(revision: string, nowMs: number): Engine {
  const idle = { rung: 'Staged' as const, sinceMs: nowMs, flights: [], retryAtMs: 0, sleeps: noSleeps, heldBytes: 0 };
  return { revision, ...idle, work: undefined };
}
