// The simulated slots on their nodes, with what is in them before the first request. Owns the slots; reads them for policies.
// Must never decide what should be awake.
import { createRng } from '../lib/rng.ts';
import type { EventQueue } from './event-queue.ts';
import { createNodeChannel } from './node.ts';
import type { ModelReading, PendingReading, ReplicaReading } from './policy/policy.ts';
import { type ModelProfile, modelProfiles } from './profile.ts';
import type { Scenario } from './scenario.ts';
import { readSleeperMemory } from './sleeper-memory.ts';
import { type SimInstance, SimSlot, type SlotHooks } from './slot.ts';

/** Names of the idle models that occupy slots. */
export const FILLER = 'other-in-';

export interface FleetHooks extends Omit<SlotHooks, 'onWanted'> {
  /** An instance has come up, with its engine. */
  onReady(instance: SimInstance): void;
}

type FleetFigures = Omit<ModelReading, 'model' | 'waiting' | 'queued'>;
type InstanceFigures = Omit<FleetFigures, 'makeRoomMs'>;

export interface Fleet {
  readonly slots: readonly SimSlot[];
  /** Puts into the slots what is there before time begins. */
  begin(awake: ReadonlyMap<string, number>): void;
  loseNode(node: number): void;
  restoreNode(node: number): void;
  nodeOf(slot: string): string;
  readModel(model: string): FleetFigures;
}

export function createFleet(scenario: Scenario, events: EventQueue, hooks: FleetHooks): Fleet {
  const { fleet, models, faults, seed } = scenario;
  const rng = createRng(seed);
  const profiles = new Map<string, ModelProfile>(models.map(({ name, profile }) => [name, profile]));
  const filler = models[0]?.profile ?? modelProfiles.Size70B;
  const instances = new Map<string, Set<SimInstance>>();
  const nodes = Array.from({ length: Math.ceil(fleet.slots / fleet.slotsPerNode) }, () =>
    createNodeChannel(events, fleet.wakesAtFullRate),
  );
  const wanted = new Map<string, Set<SimSlot>>();
  const slotHooks: SlotHooks = {
    ...hooks,
    onRung(slot, instance, before) {
      const known = instances.get(instance.model) ?? new Set();
      instances.set(instance.model, known);
      if (instance.rung === 'Absent') known.delete(instance);
      else known.add(instance);
      hooks.onRung(slot, instance, before);
      if (instance.rung === 'Awake') hooks.onReady(instance);
    },
    onWanted(slot, before) {
      if (before !== undefined) wanted.get(before)?.delete(slot);
      if (slot.wanted !== undefined) wanted.set(slot.wanted, (wanted.get(slot.wanted) ?? new Set()).add(slot));
    },
  };
  const nodeNameOf = (index: number) => `node-${Math.floor(index / fleet.slotsPerNode)}`;
  const slots = Array.from({ length: fleet.slots }, (_, index) => {
    const channel = nodes[Math.floor(index / fleet.slotsPerNode)];
    return new SimSlot({
      name: `slot-${String(index).padStart(4, '0')}`,
      pool: 'default',
      node: nodeNameOf(index),
      events,
      channel: channel ?? createNodeChannel(events, fleet.wakesAtFullRate),
      hooks: slotHooks,
      profileOf: (model) => profiles.get(model) ?? filler,
      spread: (sigma) => (sigma === 0 ? 1 : Math.exp(sigma * normal(rng.next(), rng.next()))),
      leakMiB: faults.leakMiB,
      failsWake: () => faults.failedWakes > 0 && rng.next() < faults.failedWakes,
    });
  });
  const nodeNames = new Map(slots.map(({ name }, index) => [name, nodeNameOf(index)]));
  const slotsOf = (node: number) => slots.slice(node * fleet.slotsPerNode, (node + 1) * fleet.slotsPerNode);
  return {
    slots,
    begin: (awake) => placeFirst(scenario, slots, awake),
    nodeOf: (name) => nodeNames.get(name) ?? '',
    loseNode(node) {
      for (const slot of slotsOf(node)) slot.lose();
    },
    restoreNode(node) {
      for (const slot of slotsOf(node)) slot.restore();
    },
    readModel: (model) => ({
      ...readSlots(
        model,
        { wanted: wanted.get(model) ?? new Set(), known: instances.get(model) ?? new Set() },
        events.nowMs,
      ),
      makeRoomMs: hasRoom(slots, model) ? 0 : (profiles.get(model) ?? filler).climb.sleepMs,
    }),
  };
}

/** Box and Muller. */
function normal(a: number, b: number): number {
  return Math.sqrt(-2 * Math.log(1 - a)) * Math.cos(2 * Math.PI * b);
}

function placeFirst({ fleet, models }: Scenario, slots: readonly SimSlot[], awake: ReadonlyMap<string, number>): void {
  const free = slots[Symbol.iterator]();
  for (const [model, count] of awake) {
    for (let placed = 0; placed < count; placed += 1) free.next().value?.place(model, 'Awake');
  }
  for (const slot of slots) {
    if (fleet.isOccupied && slot.wanted === undefined) slot.place(`${FILLER}${slot.name}`, 'Awake');
  }
  if (fleet.begin === 'Asleep') fillWithSleepers({ fleet, models }, slots);
}

/** Copies of each model in turn, until no slot has room for one that it does not have. */
function fillWithSleepers({ fleet, models }: Pick<Scenario, 'fleet' | 'models'>, slots: readonly SimSlot[]): void {
  const rounds = Math.min(models.length, fleet.sleepersPerSlotMax);
  const memory = readSleeperMemory({ fleet, models });
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, slot] of slots.entries()) {
      const model = models[(index + round * slots.length) % models.length]?.name;
      const other = models.find(({ name }) => !slot.instances.has(name))?.name;
      const chosen = model !== undefined && !slot.instances.has(model) ? model : other;
      if (chosen === undefined) continue;
      const held = [...slot.instances.keys(), chosen].reduce((sum, name) => sum + (memory?.bytesOf(name) ?? 0), 0);
      if (memory === undefined || held <= memory.bytesMax) slot.place(chosen, 'Asleep');
    }
  }
}

/** What a policy may know of a model's slots. */
function readSlots(
  name: string,
  { wanted: slots, known }: { wanted: ReadonlySet<SimSlot>; known: ReadonlySet<SimInstance> },
  nowMs: number,
): InstanceFigures {
  const pending: PendingReading[] = [];
  const replicas: ReplicaReading[] = [];
  for (const slot of slots) {
    const instance = slot.instances.get(name);
    if (instance?.replica !== undefined && instance.rung === 'Awake') replicas.push(readReplica(instance, nowMs));
    else pending.push(readPending(instance, nowMs));
  }
  let inFlight = 0;
  let asleep = 0;
  let usedMs = Number.NEGATIVE_INFINITY;
  for (const instance of known) {
    inFlight += instance.replica?.inFlight ?? 0;
    usedMs = Math.max(usedMs, instance.usedMs);
    if (instance.rung === 'Asleep') asleep += 1;
  }
  const idleMs = inFlight > 0 ? 0 : nowMs - usedMs;
  return { inFlight, ready: replicas.length, pending, asleep, ordered: slots.size, replicas, idleMs };
}

/** A slot in which nothing is resident, or will be, with a sleeper of this model. */
/** As src/core/plan/scale/supply-reading.ts has it. */
function hasRoom(slots: readonly SimSlot[], model: string): boolean {
  const isFree = (slot: SimSlot) => slot.isUsable && slot.wanted === undefined && slot.resident() === undefined;
  const sleeping = slots.filter((slot) => slot.instances.get(model)?.rung === 'Asleep');
  return (sleeping.length === 0 ? slots : sleeping).some(isFree);
}

function readReplica({ replica, usedMs }: SimInstance, nowMs: number): ReplicaReading {
  return {
    promptLeft: replica?.promptLeft ?? 0,
    promptBehind: replica?.promptBehind ?? 0,
    kvShare: replica?.kvShare ?? 0,
    inFlight: replica?.inFlight ?? 0,
    idleMs: nowMs - usedMs,
  };
}

/** As src/core/plan/scale/supply-reading.ts has it: who waits asleep will wake, wherever the last climb began. */
function readPending(instance: SimInstance | undefined, nowMs: number): PendingReading {
  if (instance === undefined) return { from: 'Staged', ageMs: 0 };
  const { rung, sinceMs } = instance;
  const isClimbing = rung === 'Waking' || rung === 'Starting';
  const isStart = rung === 'Starting' || rung === 'Stopping';
  return { from: isStart ? 'Staged' : 'Asleep', ageMs: isClimbing ? nowMs - sinceMs : 0 };
}
