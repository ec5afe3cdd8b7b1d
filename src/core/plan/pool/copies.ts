// What a sleeping copy is worth, and which one to make next: the waiting that it saves its callers, by how often the model is
// used and how often the slots of its other copies are taken (scaling.md §2.4). Pure.

export interface CopySlot {
  readonly name: string;
  /** Missing: one of its own. */
  readonly node?: string;
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

/** Waiting for each millisecond. `allTaken`: share of the time that the slots of all copies are taken; undefined without a copy. */
export function waitingWith(model: CopyModel, allTaken: number | undefined): number {
  if (allTaken === undefined) return model.usesPerMs * model.startMs;
  return model.usesPerMs * allTaken * model.blockedMs;
}

export interface CopyWorld {
  readonly models: ReadonlyMap<string, CopyModel>;
  readonly slots: readonly CopySlot[];
  takenShare(slot: string, model: string): number;
  /** Whether the slot may have a copy of the model. Missing: every slot may. */
  mayHold?(slot: string, model: string): boolean;
}

/** A world with the copies of each model. Made once for all slots that are looked at in it. */
export interface Copies {
  readonly world: CopyWorld;
  readonly byModel: ReadonlyMap<string, CopiesOfModel>;
}

interface CopiesOfModel {
  /** Those that hold one. */
  readonly nodes: ReadonlySet<string>;
  /** How much of the time the slot of each copy is taken. */
  readonly takenShares: ReadonlyMap<string, number>;
  readonly allTaken: number | undefined;
}

export function listCopies(world: CopyWorld): Copies {
  const found = new Map(
    [...world.models.keys()].map((model) => [
      model,
      { nodes: new Set<string>(), takenShares: new Map<string, number>() },
    ]),
  );
  for (const { name, node, models } of world.slots) {
    for (const model of models) {
      found.get(model)?.nodes.add(node ?? name);
      found.get(model)?.takenShares.set(name, world.takenShare(name, model));
    }
  }
  const byModel = new Map<string, CopiesOfModel>();
  for (const [model, { nodes, takenShares }] of found)
    byModel.set(model, { nodes, takenShares, allTaken: allTakenBut(undefined, takenShares) });
  return { world, byModel };
}

/** Share of the time that all of them are taken, without the one in this slot. */
function allTakenBut(without: string | undefined, takenShares: ReadonlyMap<string, number>): number | undefined {
  let all: number | undefined;
  for (const [slot, share] of takenShares) if (slot !== without) all = (all ?? 1) * share;
  return all;
}

/** What would be lost without the copy in this slot. */
export function worthOfCopy({ world, byModel }: Copies, model: string, slot: string): number {
  const [known, copies] = [world.models.get(model), byModel.get(model)];
  if (known === undefined || copies === undefined) return 0;
  return waitingWith(known, allTakenBut(slot, copies.takenShares)) - waitingWith(known, copies.allTaken);
}

/** What a copy is worth on a node that has one already: it is lost together with that one. */
const SAME_NODE_SHARE = 0.8;
/** A copy has to save its making in this time. */
const PAY_BACK_MS = 1_200_000;

/** The copy that saves most in one of these slots, if it is worth a start: who is needed there meanwhile waits for half of it. */
export function planCopy(copies: Copies, slots: readonly CopySlot[]): CopyPlan | undefined {
  return slots
    .filter(mayGetCopy)
    .flatMap((slot) => bestFor(copies, slot) ?? [])
    .reduce<CopyPlan | undefined>(
      (best, plan) => (best === undefined || plan.gain > best.gain ? plan : best),
      undefined,
    );
}

export function mayGetCopy({ isFree, sleepersMax }: CopySlot): boolean {
  return isFree && sleepersMax > 0;
}

interface WeighedPlan extends CopyPlan {
  /** By which models are compared in one slot. */
  readonly value: number;
}

function bestFor(copies: Copies, slot: CopySlot): CopyPlan | undefined {
  const { models, mayHold } = copies.world;
  const held = readHeld(copies, slot);
  let best: WeighedPlan | undefined;
  for (const model of models.values()) {
    if (slot.models.includes(model.name)) continue;
    const plan = weighCopy(copies, { slot, held }, model);
    if (plan === undefined || (best !== undefined && !(plan.value > best.value))) continue;
    // Asked last: it is the dearest question.
    if (mayHold?.(slot.name, model.name) !== false) best = plan;
  }
  if (best === undefined) return undefined;
  const { value: _, ...plan } = best;
  return plan;
}

interface HeldSlot {
  readonly slot: CopySlot;
  readonly held: Held;
}

/** Undefined: there is no room, or it is not worth a start. */
function weighCopy({ world, byModel }: Copies, at: HeldSlot, model: CopyModel): WeighedPlan | undefined {
  const room = makeRoom(at, model);
  if (room === undefined) return undefined;
  const { name: slot } = at.slot;
  const { allTaken, nodes } = byModel.get(model.name) ?? {};
  const after = waitingWith(model, (allTaken ?? 1) * world.takenShare(slot, model.name));
  const saved = waitingWith(model, allTaken) - after - room.worth;
  if (!(saved * PAY_BACK_MS > harmOfStart(at.held, model))) return undefined;
  const gain = saved * (nodes?.has(at.slot.node ?? slot) === true ? SAME_NODE_SHARE : 1);
  return { slot, model: model.name, instead: room.instead, gain, value: perByte(gain, model) };
}

/** What is worth the same in less memory goes first. Of unknown size are all alike. */
function perByte(worth: number, { asleepBytes = 0 }: Pick<CopyModel, 'asleepBytes'>): number {
  return worth / Math.max(1, asleepBytes);
}

/** What a slot holds, read once for all models that are weighed for it. */
interface Held {
  readonly bytes: number;
  readonly usesPerMs: number;
  /** Those whose loss costs least first. Looked at when the slot is full. */
  worths(): readonly { readonly name: string; readonly bytes: number; readonly worth: number }[];
}

function readHeld(copies: Copies, { name: slot, models }: CopySlot): Held {
  const modelOf = (name: string) => copies.world.models.get(name);
  const bytesOf = (name: string) => modelOf(name)?.asleepBytes ?? 0;
  let worths: ReturnType<Held['worths']> | undefined;
  return {
    bytes: models.reduce((sum, name) => sum + bytesOf(name), 0),
    usesPerMs: models.reduce((sum, name) => sum + (modelOf(name)?.usesPerMs ?? 0), 0),
    worths() {
      worths ??= models
        .map((name) => ({ name, bytes: bytesOf(name), worth: worthOfCopy(copies, name, slot) }))
        .sort((a, b) => a.worth - b.worth);
      return worths;
    },
  };
}

/** What is lost for one more copy: nothing while there is room, else the sleeper whose loss costs least of those that make it. */
function makeRoom(
  { slot, held }: HeldSlot,
  { asleepBytes = 0 }: CopyModel,
): { readonly instead: string | undefined; readonly worth: number } | undefined {
  const lacking = held.bytes + asleepBytes - (slot.sleeperBytesMax ?? Number.POSITIVE_INFINITY);
  if (slot.models.length < slot.sleepersMax && lacking <= 0) return { instead: undefined, worth: 0 };
  const least = held.worths().find(({ bytes }) => bytes >= lacking);
  return least === undefined ? undefined : { instead: least.name, worth: least.worth };
}

/** Waiting of the neighbours while it starts, in milliseconds. */
function harmOfStart({ usesPerMs }: Held, { startMs }: CopyModel): number {
  return usesPerMs * startMs * (startMs / 2);
}
