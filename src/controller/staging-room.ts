// Whether a set has room on its volume, and what leaves it so that it has: gathers what lies there, who uses it and since when
// nobody does, and keeps room for what is on its way. The choice is src/core/plan/weights-eviction.ts. Deletes nothing itself.

import { kinds } from '../api/kinds.ts';
import { type InstanceReport, residentRungs } from '../api/link.ts';
import type { Model } from '../api/model.ts';
import type { ModelRevision } from '../api/model-revision.ts';
import type { AgeOf } from '../core/plan/node-loss.ts';
import { guessChance, planRoom, type RoomPlan, type SetHold, type StoredSet } from '../core/plan/weights-eviction.ts';
import { renderBytes } from '../lib/units.ts';
import { STAGE_START_MS } from './bounds.ts';
import type { World } from './observe.ts';
import type { ControllerOptions } from './options.ts';
import { isAtWork, stagerName } from './stager-pod.ts';
import { cacheBytesMaxOf, weightsKeyOf } from './weight-volumes.ts';

/** A set that was found room for has it this long before its stager shows. */
const RESERVED_MS = 30_000;
/** Sleepers that are in the way are asked to end this long after the last look that found them so. */
const GIVES_WAY_MS = 10_000;

export interface StagingWorld {
  /** Undefined before the first plan. */
  world(): World | undefined;
  /** Everything that may be in use is known. */
  isComplete(): boolean;
  /** Requests wait for this revision, or a person wants it up. */
  isWanted(model: Model, revision: string): boolean;
  readonly ageOf: AgeOf;
}

export type RoomAnswer =
  /** With what has to stay, where the volume is bounded. */
  | { readonly type: 'go'; readonly cacheBytesMax?: number; readonly keep: readonly string[] }
  | { readonly type: 'evict'; readonly digests: readonly string[] }
  | { readonly type: 'wait'; readonly reason: string; readonly message: string; readonly mayPass: boolean };

export interface WeightRoom {
  find(what: { readonly revision: ModelRevision; readonly model: Model; readonly key: string }): RoomAnswer;
  /** The set is there: no room has to be kept for it. */
  settle(revision: ModelRevision, key: string): void;
  /** Notes who is in use now. */
  noteUse(): void;
  /** Its sleepers are in the way of files that somebody waits for. */
  givesWay(revision: string): boolean;
}

export function createWeightRoom(
  options: ControllerOptions,
  world: StagingWorld,
  bytesPerMs: () => number,
): WeightRoom {
  return new Room(options, world, bytesPerMs);
}

interface Holding extends StoredSet {
  readonly revisions: readonly string[];
}

interface RoomFacts {
  readonly stored: readonly Holding[];
  readonly neededBytes: number;
  readonly cacheBytesMax: number;
}

class Room implements WeightRoom {
  readonly #options: ControllerOptions;
  readonly #world: StagingWorld;
  readonly #bytesPerMs: () => number;
  /** By digest: when somebody used it last. */
  readonly #usedMs = new Map<string, number>();
  /** By volume and digest. */
  readonly #reserved = new Map<string, number>();
  /** By revision: until when. */
  readonly #giving = new Map<string, number>();
  readonly #startedMs: number;

  constructor(options: ControllerOptions, world: StagingWorld, bytesPerMs: () => number) {
    this.#options = options;
    this.#world = world;
    this.#bytesPerMs = bytesPerMs;
    this.#startedMs = options.clock.nowMs();
  }

  settle = (revision: ModelRevision, key: string) => void this.#reserved.delete(`${key} ${digestOf(revision)}`);
  givesWay = (revision: string) => (this.#giving.get(revision) ?? 0) > this.#options.clock.nowMs();

  noteUse(): void {
    const nowMs = this.#options.clock.nowMs();
    const world = this.#world.world();
    const digests = new Set<string>();
    for (const revision of this.#listRevisions()) {
      const digest = digestOf(revision);
      digests.add(digest);
      const isUsed = (world?.slotsOf.get(revision.metadata.name) ?? []).some(({ instances }) =>
        instances.some((one) => one.revision === revision.metadata.name && residentRungs.has(one.rung)),
      );
      if (isUsed) this.#usedMs.set(digest, nowMs);
    }
    for (const digest of this.#usedMs.keys()) if (!digests.has(digest)) this.#usedMs.delete(digest);
    for (const [name, untilMs] of this.#reserved) if (untilMs <= nowMs) this.#reserved.delete(name);
    for (const [name, untilMs] of this.#giving) if (untilMs <= nowMs) this.#giving.delete(name);
  }

  find({ revision, model, key }: { revision: ModelRevision; model: Model; key: string }): RoomAnswer {
    const cacheBytesMax = cacheBytesMaxOf(this.#options.cluster.list(kinds.Pool), key, this.#options);
    if (cacheBytesMax === undefined) return { type: 'go', keep: [] };
    if (!this.#world.isComplete()) {
      return { type: 'wait', reason: 'Staging', message: 'It is being looked at who uses which files.', mayPass: true };
    }
    this.noteUse();
    const digest = digestOf(revision);
    const stored = this.#listStored(key).filter((one) => one.digest !== digest);
    const neededBytes = revision.spec.weights?.sizeBytes ?? 0;
    const isWanted = this.#world.isWanted(model, revision.metadata.name);
    const plan = planRoom({ capacityBytes: cacheBytesMax, stored, neededBytes, isWanted });
    if (plan.type === 'fits' || plan.type === 'evict') this.#reserve(key, digest);
    if (plan.type === 'fits') return { type: 'go', cacheBytesMax, keep: stored.map((one) => one.digest) };
    if (plan.type === 'evict') return plan;
    return { type: 'wait', ...this.#explain(plan, { stored, neededBytes, cacheBytesMax }) };
  }

  #reserve(key: string, digest: string): void {
    this.#reserved.set(`${key} ${digest}`, this.#options.clock.nowMs() + RESERVED_MS);
  }

  #explain(plan: RoomPlan, { stored, neededBytes, cacheBytesMax }: RoomFacts) {
    const [size, room] = [renderBytes(neededBytes), renderBytes(cacheBytesMax)];
    const namesOf = (digests: readonly string[]) =>
      stored.filter(({ digest }) => digests.includes(digest)).flatMap(({ revisions }) => revisions);
    if (plan.type === 'tooSmall') {
      const message = `The files need ${size}, and spec.weights.cacheBytesMax of the Pool allows ${room}. Raise it.`;
      return { reason: 'CacheTooSmall', message, mayPass: false };
    }
    if (plan.type === 'stop') {
      const names = namesOf(plan.digests);
      this.#askToGiveWay(names);
      const message = `The files need ${size} of ${room}, and instances that sleep are in the way: ${listNames(names)}. They are being stopped.`;
      return { reason: 'CacheFull', message, mayPass: true };
    }
    if (plan.type === 'full') {
      const held = `${renderBytes(plan.heldBytes)} of ${room} are held by what is in use: ${listNames(namesOf(plan.digests))}`;
      const message = `The files need ${size}, and ${held}. They are brought when one of those sleeps, or when spec.weights.cacheBytesMax of the Pool is larger.`;
      return { reason: 'CacheFull', message, mayPass: true };
    }
    const message = `The volume has no room for the files (${size} of ${room}) while nobody asks for them. The next request brings them.`;
    return { reason: 'NotCached', message, mayPass: false };
  }

  #askToGiveWay(revisions: readonly string[]): void {
    const untilMs = this.#options.clock.nowMs() + GIVES_WAY_MS;
    for (const name of revisions) this.#giving.set(name, untilMs);
  }

  #listRevisions(): ModelRevision[] {
    return this.#options.cluster.list(kinds.ModelRevision).filter(({ spec }) => spec.weights?.fileSet !== undefined);
  }

  /** What lies on a volume or is on its way there, as far as objects and slots say. */
  #listStored(key: string): Holding[] {
    const sets = new Map<string, Holding>();
    for (const revision of this.#listRevisions()) {
      const hold = this.#holdOf(revision, key);
      const isThere = hold !== 'None' || revision.status?.stagedIn?.includes(key) === true;
      if (!isThere) continue;
      const one = this.#describe(revision, hold);
      const other = sets.get(one.digest);
      sets.set(one.digest, other === undefined ? one : merge(one, other));
    }
    return [...sets.values()];
  }

  #describe({ spec, metadata }: ModelRevision, hold: SetHold): Holding {
    const { sizeBytes = 0, sha256 = '' } = spec.weights ?? {};
    const status = this.#options.cluster.get(kinds.Model, spec.modelName)?.status;
    const isNamed = [status?.stableRevision, status?.candidateRevision].includes(metadata.name);
    const idleMs = this.#options.clock.nowMs() - (this.#usedMs.get(sha256) ?? this.#startedMs);
    return {
      digest: sha256,
      bytes: sizeBytes,
      hold,
      isNamed,
      chance: guessChance(idleMs, isNamed),
      restageMs: STAGE_START_MS + sizeBytes / this.#bytesPerMs(),
      revisions: [metadata.name],
    };
  }

  #holdOf(revision: ModelRevision, key: string): SetHold {
    const { name } = revision.metadata;
    const isReserved = this.#reserved.has(`${key} ${digestOf(revision)}`);
    const pod = this.#options.cluster.get(kinds.Pod, stagerName(name, key));
    if (isReserved || (pod !== undefined && isAtWork(pod))) return 'InUse';
    const world = this.#world.world();
    const seen = [...(world?.slotsOf.get(name) ?? []), ...(world?.awakeSlotsOf.get(name) ?? [])];
    const slots = seen.filter(({ pool, node }) => {
      const found = world?.pools.get(pool);
      return found !== undefined && weightsKeyOf(found, this.#options, node) === key;
    });
    const holds = slots.flatMap(({ assigned, instances }) => [
      ...assigned.filter((one) => one.revision === name).map(({ rung }) => holdOfRung(rung)),
      ...instances.filter((one) => one.revision === name).map(({ rung }) => holdOfRung(rung)),
    ]);
    return holds.includes('InUse') ? 'InUse' : holds.includes('Asleep') ? 'Asleep' : 'None';
  }
}

function holdOfRung(rung: InstanceReport['rung']): SetHold {
  if (rung === 'Asleep') return 'Asleep';
  return residentRungs.has(rung) ? 'InUse' : 'None';
}

function digestOf({ spec }: ModelRevision): string {
  return spec.weights?.sha256 ?? '';
}

const strength: readonly SetHold[] = ['None', 'Asleep', 'InUse'];

/** Two revisions of the same files. */
function merge(a: Holding, b: Holding): Holding {
  return {
    ...a,
    hold: strength.indexOf(a.hold) >= strength.indexOf(b.hold) ? a.hold : b.hold,
    isNamed: a.isNamed || b.isNamed,
    chance: Math.max(a.chance, b.chance),
    revisions: [...a.revisions, ...b.revisions],
  };
}

const NAMES_MAX = 5;

function listNames(names: readonly string[]): string {
  const more = names.length - NAMES_MAX;
  return `${names.slice(0, NAMES_MAX).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
