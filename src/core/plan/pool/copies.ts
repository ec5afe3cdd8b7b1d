// What a sleeping copy is worth, and which one to make next: the waiting that it saves its callers, by how often the model is
// used and how often the slots of its other copies are taken (scaling.md §2.4). Pure.

export interface CopySlot {
  readonly name: string;
  /** Models with a copy in it, at any rung. */
  readonly models: readonly string[];
  /** Nothing is resident in it, and nothing is to be. */
  readonly isFree: boolean;
  readonly sleepersMax: number;
  /** Host memory for all of them. Missing: as much as they take. */
  readonly sleeperBytesMax?: number | undefined;
}

export interface CopyModel {
  readonly name: string;
  /** Uses of it after a pause, for each millisecond. */
  readonly usesPerMs: number;
  readonly startMs: number;
  /** What waiting for a taken slot costs, about: the rest of a turn, a sleep and a wake. */
  readonly blockedMs: number;
  /** Host memory that a sleeper of it holds. Missing: nothing is known, and it counts as none. */
  readonly asleepBytes?: number;
}

export interface CopyPlan {
  readonly slot: string;
  readonly model: string;
  /** Stopped for it; undefined when there is room. */
  readonly instead: string | undefined;
  /** Milliseconds of waiting saved for each millisecond that passes. */
  readonly gain: number;
}

type TakenShare = (slot: string, model: string) => number;

/** Waiting for each millisecond, with copies in these slots. */
export function waitingWith(model: CopyModel, slots: readonly string[], takenShare: TakenShare): number {
  if (slots.length === 0) return model.usesPerMs * model.startMs;
  const allTaken = slots.reduce((share, slot) => share * takenShare(slot, model.name), 1);
  return model.usesPerMs * allTaken * model.blockedMs;
}

export interface CopyWorld {
  readonly models: ReadonlyMap<string, CopyModel>;
  readonly slots: readonly CopySlot[];
  readonly takenShare: TakenShare;
  /** Whether the slot may have a copy of the model. Missing: every slot may. */
  mayHold?(slot: string, model: string): boolean;
}

/** What would be lost without the copy in this slot. */
export function worthOfCopy(world: CopyWorld, model: string, slot: string): number {
  const known = world.models.get(model);
  if (known === undefined) return 0;
  const all = slotsOf(world, model);
  const others = all.filter((name) => name !== slot);
  return waitingWith(known, others, world.takenShare) - waitingWith(known, all, world.takenShare);
}

/** A copy has to save its making in this time. */
const PAY_BACK_MS = 1_200_000;

/** The copy that saves most, if it is worth a start: who is needed in that slot meanwhile waits for half of it. */
export function planCopy(world: CopyWorld): CopyPlan | undefined {
  const have = new Map([...world.models.keys()].map((model) => [model, slotsOf(world, model)]));
  const free = world.slots.filter(({ isFree, sleepersMax }) => isFree && sleepersMax > 0);
  return free
    .flatMap((slot) => bestFor(world, slot, have) ?? [])
    .reduce<CopyPlan | undefined>(
      (best, plan) => (best === undefined || plan.gain > best.gain ? plan : best),
      undefined,
    );
}

function bestFor(world: CopyWorld, slot: CopySlot, have: ReadonlyMap<string, string[]>): CopyPlan | undefined {
  let best: (CopyPlan & { readonly value: number }) | undefined;
  for (const model of world.models.values()) {
    if (slot.models.includes(model.name) || world.mayHold?.(slot.name, model.name) === false) continue;
    const room = makeRoom(world, slot, model);
    if (room === undefined) continue;
    const slots = have.get(model.name) ?? [];
    const before = waitingWith(model, slots, world.takenShare);
    const gain = before - waitingWith(model, [...slots, slot.name], world.takenShare) - room.worth;
    const value = perByte(gain, model);
    const isWorthIt = gain * PAY_BACK_MS > harmOfStart(world, slot, model);
    if (isWorthIt && (best === undefined || value > best.value))
      best = { slot: slot.name, model: model.name, instead: room.instead, gain, value };
  }
  if (best === undefined) return undefined;
  const { value: _, ...plan } = best;
  return plan;
}

/** What is worth the same in less memory goes first. Of unknown size are all alike. */
function perByte(worth: number, { asleepBytes = 0 }: Pick<CopyModel, 'asleepBytes'>): number {
  return worth / Math.max(1, asleepBytes);
}

/** What is lost for one more copy: nothing while there is room, else the sleeper whose loss costs least of those that make it. */
function makeRoom(
  world: CopyWorld,
  slot: CopySlot,
  model: CopyModel,
): { readonly instead: string | undefined; readonly worth: number } | undefined {
  const bytesOf = (name: string) => world.models.get(name)?.asleepBytes ?? 0;
  const held = slot.models.reduce((sum, name) => sum + bytesOf(name), 0);
  const lacking = held + (model.asleepBytes ?? 0) - (slot.sleeperBytesMax ?? Number.POSITIVE_INFINITY);
  if (slot.models.length < slot.sleepersMax && lacking <= 0) return { instead: undefined, worth: 0 };
  const enough = slot.models.filter((name) => bytesOf(name) >= lacking);
  const worths = enough.map((name) => ({ instead: name, worth: worthOfCopy(world, name, slot.name) }));
  return worths.sort((a, b) => a.worth - b.worth)[0];
}

function slotsOf(world: CopyWorld, model: string): string[] {
  return world.slots.filter(({ models }) => models.includes(model)).map(({ name }) => name);
}

/** Waiting of the neighbours while it starts, in milliseconds. */
function harmOfStart(world: CopyWorld, slot: CopySlot, { startMs }: CopyModel): number {
  const uses = slot.models.reduce((sum, model) => sum + (world.models.get(model)?.usesPerMs ?? 0), 0);
  return uses * startMs * (startMs / 2);
}
