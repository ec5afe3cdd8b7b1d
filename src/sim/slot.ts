// One simulated slot and the agent in it: makes a target true, one transition at a time, and tells how far it is. At most one
// instance is resident. Owns its replicas; must never decide what should be awake.
import { type Rung, residentRungs } from '../api/link.ts';
import type { Assignment, InstanceView, SlotView } from '../core/plan/snapshot.ts';
import { assert } from '../lib/assert.ts';
import type { EventQueue, Scheduled } from './event-queue.ts';
import type { NodeChannel } from './node.ts';
import type { ModelProfile } from './profile.ts';
import { Replica, type ReplicaHooks } from './replica.ts';
import type { SimRequest } from './request.ts';

export interface SimInstance {
  readonly model: string;
  rung: Rung;
  sinceMs: number;
  /** When it last began or ended a request. */
  usedMs: number;
  replica: Replica | undefined;
  /** Where the climb under way, or the last one, began. */
  from: 'Staged' | 'Asleep';
  failures: number;
  /** Of this process. */
  sleeps: number;
  work: Scheduled | undefined;
}

export interface SlotHooks extends Pick<ReplicaHooks, 'onFirstToken'> {
  onDone(request: SimRequest, instance: SimInstance): void;
  onStep(instance: SimInstance, sample: Parameters<ReplicaHooks['onStep']>[0]): void;
  onRung(slot: SimSlot, instance: SimInstance, before: Rung): void;
  /** Another model is wanted awake here, or none. */
  onWanted(slot: SimSlot, before: string | undefined): void;
  onClimbed(instance: SimInstance, tookMs: number): void;
  /** A process ended that was to stay. */
  onFailed(instance: SimInstance, why: 'FailedWake' | 'Leak'): void;
  /** The engine went away with requests in it. */
  onLost(requests: readonly SimRequest[]): void;
}

export interface SlotOptions {
  readonly name: string;
  readonly pool: string;
  readonly node: string;
  readonly events: EventQueue;
  readonly channel: NodeChannel;
  readonly hooks: SlotHooks;
  profileOf(model: string): ModelProfile;
  /** A factor of chance for the time of a stage. */
  spread(sigma: number): number;
  /** Whether this wake goes wrong. */
  failsWake(): boolean;
  readonly leakMiB: number;
}

/** What an engine may hold more than after its first sleep before it is ended, as an agent's default. */
const SLEEP_GROWTH_MIB_MAX = 512;

export class SimSlot {
  readonly name: string;
  readonly pool: string;
  readonly instances = new Map<string, SimInstance>();
  assigned: readonly Assignment[] = [];
  readonly #options: SlotOptions;
  #wanted: string | undefined;
  #isGone = false;

  constructor(options: SlotOptions) {
    this.name = options.name;
    this.pool = options.pool;
    this.#options = options;
  }

  /** What is there before time begins. */
  place(model: string, rung: 'Awake' | 'Asleep'): void {
    const instance = this.#create(model, rung === 'Awake' ? 'Staged' : 'Asleep');
    instance.rung = rung;
    if (rung === 'Awake') instance.replica = this.#startReplica(instance);
    this.#setAssigned([...this.assigned, { model, revision: model, rung }]);
    this.#options.hooks.onRung(this, instance, 'Absent');
  }

  assign(assigned: readonly Assignment[]): void {
    this.#setAssigned(assigned);
    this.#advance();
  }

  /** The node is lost: everything in it is gone at once. */
  lose(): void {
    this.#isGone = true;
    for (const instance of this.instances.values()) this.#end(instance);
    this.#setAssigned([]);
  }

  /** Another node stands in its place. */
  restore(): void {
    this.#isGone = false;
  }

  /** The model that is to be awake here. */
  get wanted(): string | undefined {
    return this.#wanted;
  }

  #setAssigned(assigned: readonly Assignment[]): void {
    const before = this.#wanted;
    this.assigned = assigned;
    this.#wanted = assigned.find(({ rung }) => rung === 'Awake')?.model;
    if (before !== this.#wanted) this.#options.hooks.onWanted(this, before);
  }

  get isUsable(): boolean {
    return !this.#isGone;
  }

  resident(): SimInstance | undefined {
    for (const instance of this.instances.values()) if (residentRungs.has(instance.rung)) return instance;
    return undefined;
  }

  view(nowMs: number): SlotView {
    const { name, pool, isUsable, assigned } = this;
    const { node } = this.#options;
    const instances = [...this.instances.values()].map((instance) => viewInstance(name, instance, nowMs));
    return { podUid: name, name, pool, node, isUsable, isLeaving: false, instances, assigned };
  }

  #create(model: string, from: SimInstance['from']): SimInstance {
    const { nowMs } = this.#options.events;
    const instance: SimInstance = {
      model,
      rung: 'Absent',
      sinceMs: nowMs,
      usedMs: nowMs,
      replica: undefined,
      from,
      failures: 0,
      sleeps: 0,
      work: undefined,
    };
    this.instances.set(model, instance);
    return instance;
  }

  /** Brings the slot one step nearer to its target; called again when a step is over. */
  #advance(): void {
    if (this.#isGone) return;
    const wanted = this.#wanted;
    this.#dropSleepers();
    const resident = this.resident();
    if (resident === undefined) {
      if (wanted !== undefined) this.#climb(wanted);
    } else if (resident.model === wanted) this.#resume(resident);
    else this.#lower(resident);
  }

  #dropSleepers(): void {
    const kept = new Set(this.assigned.map(({ model }) => model));
    for (const instance of this.instances.values()) {
      if (instance.rung === 'Asleep' && !kept.has(instance.model)) this.#end(instance);
    }
  }

  /** It was on its way down and is wanted again. */
  #resume(instance: SimInstance): void {
    if (instance.rung === 'Draining') this.#move(instance, 'Awake');
  }

  #lower(instance: SimInstance): void {
    if (instance.rung === 'Awake') this.#move(instance, 'Draining');
    if (instance.rung === 'Draining' && instance.replica?.inFlight === 0) this.#descend(instance);
    else if (instance.rung === 'Starting' && !this.#keeps(instance)) {
      instance.work?.cancel();
      this.#descend(instance);
    }
  }

  #keeps(instance: SimInstance): boolean {
    return this.assigned.some(({ model, rung }) => model === instance.model && rung !== 'Staged');
  }

  #descend(instance: SimInstance): void {
    const { events, spread } = this.#options;
    const { sleepMs, stopMs, sigma } = this.#options.profileOf(instance.model).climb;
    instance.replica = undefined;
    const isKept = this.#keeps(instance);
    this.#move(instance, isKept ? 'Sleeping' : 'Stopping');
    instance.work = events.at(events.nowMs + (isKept ? sleepMs : stopMs) * spread(sigma), () => {
      if (isKept) this.#endSleep(instance);
      else this.#end(instance);
      this.#advance();
    });
  }

  /** Who holds too much more than after its first sleep is ended, and its copy is gone. */
  #endSleep(instance: SimInstance): void {
    instance.sleeps += 1;
    if ((instance.sleeps - 1) * this.#options.leakMiB <= SLEEP_GROWTH_MIB_MAX) {
      this.#move(instance, 'Asleep');
      return;
    }
    this.#options.hooks.onFailed(instance, 'Leak');
    this.#end(instance);
    const { model } = instance;
    this.#setAssigned(this.assigned.filter((one) => one.model !== model || one.rung === 'Awake'));
  }

  #climb(model: string): void {
    const { events, spread, channel, profileOf, failsWake } = this.#options;
    const { climb } = profileOf(model);
    const instance = this.instances.get(model) ?? this.#create(model, 'Staged');
    const isWake = instance.rung === 'Asleep';
    instance.from = isWake ? 'Asleep' : 'Staged';
    this.#move(instance, isWake ? 'Waking' : 'Starting');
    const beganMs = events.nowMs;
    const totalMs = (isWake ? climb.wakeMs : climb.startMs) * spread(climb.sigma);
    const isFailing = isWake && failsWake();
    const end = () => this.#endClimb(instance, { beganMs, isFailing });
    if (!isWake) {
      instance.work = events.at(beganMs + totalMs, end);
      return;
    }
    const movingMs = totalMs * climb.wakeMovingShare;
    instance.work = channel.transfer(movingMs, () => {
      instance.work = events.at(events.nowMs + totalMs - movingMs, end);
    });
  }

  #endClimb(instance: SimInstance, { beganMs, isFailing }: { beganMs: number; isFailing: boolean }): void {
    const { events, hooks } = this.#options;
    if (isFailing) {
      // A wrong wake ends the process: what is left is a start from the weights.
      instance.failures += 1;
      hooks.onFailed(instance, 'FailedWake');
      this.#end(instance);
      this.#advance();
      return;
    }
    instance.replica = this.#startReplica(instance);
    instance.usedMs = events.nowMs;
    this.#move(instance, 'Awake');
    hooks.onClimbed(instance, events.nowMs - beganMs);
    this.#advance();
  }

  #startReplica(instance: SimInstance): Replica {
    const { events, hooks, profileOf } = this.#options;
    return new Replica(profileOf(instance.model).engine, events, {
      onFirstToken: hooks.onFirstToken,
      onDone: (request) => {
        instance.usedMs = events.nowMs;
        hooks.onDone(request, instance);
        if (instance.rung === 'Draining') this.#advance();
      },
      onStep: (sample) => hooks.onStep(instance, sample),
    });
  }

  #end(instance: SimInstance): void {
    instance.work?.cancel();
    const lost = instance.replica?.abandon() ?? [];
    instance.replica = undefined;
    this.instances.delete(instance.model);
    this.#move(instance, 'Absent');
    if (lost.length > 0) this.#options.hooks.onLost(lost);
  }

  #move(instance: SimInstance, rung: Rung): void {
    const before = instance.rung;
    assert(
      !residentRungs.has(rung) || [undefined, instance].includes(this.resident()),
      `${this.name} holds one resident instance`,
    );
    instance.rung = rung;
    instance.sinceMs = this.#options.events.nowMs;
    this.#options.hooks.onRung(this, instance, before);
  }
}

function viewInstance(slot: string, instance: SimInstance, nowMs: number): InstanceView {
  const inFlight = instance.replica?.inFlight ?? 0;
  return {
    id: `${slot}/${instance.model}/1`,
    model: instance.model,
    revision: instance.model,
    rung: instance.rung,
    probed: instance.rung === 'Awake',
    inFlight,
    rungAgeMs: nowMs - instance.sinceMs,
    idleMs: inFlight > 0 ? 0 : nowMs - instance.usedMs,
    failures: undefined,
  };
}
