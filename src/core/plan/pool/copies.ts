// What a sleeping copy is worth, and which one to make next: the waiting that it saves its callers, by how often the model is
// used and how often the slots of its other copies are taken (scaling.md §2.4). Pure.

export interface CopySlot {
  readonly name: string;
  /** Models with a copy in it, at any rung. */
  readonly models: readonly string[];
  /** Nothing is resident in it, and nothing is to be. */
  readonly isFree: boolean;
  readonly sleepersMax: number;
}

export interface CopyModel {
  readonly name: string;
  /** Uses of it after a pause, for each millisecond. */
  readonly usesPerMs: number;
  readonly startMs: number;
  /** What waiting for a taken slot costs, about: the rest of a turn, a sleep and a wake. */
  readonly blockedMs: number;
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
  const least = slot.models.length < slot.sleepersMax ? undefined : leastWorth(world, slot);
  let best: CopyPlan | undefined;
  for (const model of world.models.values()) {
    if (slot.models.includes(model.name)) continue;
    const slots = have.get(model.name) ?? [];
    const before = waitingWith(model, slots, world.takenShare);
    const gain = before - waitingWith(model, [...slots, slot.name], world.takenShare) - (least?.worth ?? 0);
    const isWorthIt = gain * PAY_BACK_MS > harmOfStart(world, slot, model);
    if (isWorthIt && (best === undefined || gain > best.gain))
      best = { slot: slot.name, model: model.name, instead: least?.model, gain };
  }
  return best;
}

function slotsOf(world: CopyWorld, model: string): string[] {
  return world.slots.filter(({ models }) => models.includes(model)).map(({ name }) => name);
}

function leastWorth(world: CopyWorld, slot: CopySlot): { readonly model: string; readonly worth: number } | undefined {
  const worths = slot.models.map((model) => ({ model, worth: worthOfCopy(world, model, slot.name) }));
  return worths.sort((a, b) => a.worth - b.worth)[0];
}

/** Waiting of the neighbours while it starts, in milliseconds. */
function harmOfStart(world: CopyWorld, slot: CopySlot, { startMs }: CopyModel): number {
  const uses = slot.models.reduce((sum, model) => sum + (world.models.get(model)?.usesPerMs ?? 0), 0);
  return uses * startMs * (startMs / 2);
}
