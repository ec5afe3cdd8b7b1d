// Makes the target true: asks src/agent/slot-plan.ts for the next action and carries it out, one transition at a time.
// Owns the instances of this slot and decides who is admitted to them. Knows nothing of the link or of HTTP.
import type { Refusal } from '../api/data-path.ts';
import {
  type InstanceReport,
  type Launch,
  residentRungs,
  SLOT_INSTANCES_MAX,
  type Target,
  type TargetInstance,
} from '../api/link.ts';
import { assert, unreachable } from '../lib/assert.ts';
import type { Timer } from '../lib/clock.ts';
import { parseInstanceId } from '../lib/ids.ts';
import type { EngineProcess } from '../ports/engine.ts';
import { createInFlight, type FlightTicket } from './in-flight.ts';
import { createInstance, type Instance, instanceIdOf, renderReport, viewInstance } from './instance.ts';
import { planSlot, type SlotAction, type Wanted } from './slot-plan.ts';
import { endUnresponsive, failExited, moveTo, type SlotContext, sleep, start, stop, wake } from './transitions.ts';
import { checkVitals } from './vitals.ts';

/** A request that may be sent to an engine. */
export interface Flight {
  readonly model: string;
  /** Becomes the answer's `model` and `system_fingerprint`. */
  readonly launch: Launch;
  readonly process: EngineProcess;
  readonly ticket: FlightTicket;
}

export type Admission =
  | { readonly type: 'admitted'; readonly flight: Flight }
  | { readonly type: 'refused'; readonly refusal: Refusal };

/**
 * How the slot stands to its target. Leaving has two steps (DESIGN §14.7): first who is awake stays so and nothing else comes
 * up, then everything is drained.
 */
type Course = 'obeying' | 'lastCalls' | 'emptying';

type SlotOptions = Omit<SlotContext, 'onExit'>;

export class Slot {
  readonly #context: SlotContext;
  #instances = new Map<string, Instance>();
  #moving: { readonly instance: Instance; readonly giveUp: AbortController } | undefined;
  #course: Course = 'obeying';
  #emptyAtMs = Number.POSITIVE_INFINITY;
  #isPlanning = false;
  #isPlanStale = false;
  #timer: Timer | undefined;
  readonly #waitingForEmpty: (() => void)[] = [];

  constructor(options: SlotOptions) {
    this.#context = {
      ...options,
      onExit: (instance, engine) => {
        if (instance.engine !== engine || this.#moving?.instance === instance) return;
        this.#settleExit(instance);
        this.#plan();
      },
    };
  }

  /** Takes a target. Instances that it does not name are stopped. */
  obey(target: Target): void {
    const awake = target.instances.filter((wanted) => wanted.rung === 'Awake');
    assert(awake.length <= 1, 'a target has at most one instance awake');
    const named = new Map(target.instances.map((wanted) => [wanted.revision, this.#takeOver(wanted)]));
    const unnamed = [...this.#instances].filter(([revision]) => !named.has(revision));
    for (const [, instance] of unnamed) instance.wanted = 'Absent';
    this.#instances = new Map([...named, ...unnamed]);
    this.#plan();
  }

  /** Nothing comes up any more; who is awake and wanted so goes on serving. */
  lastCalls(): void {
    this.#course = 'lastCalls';
    this.#plan();
  }

  /** Drains for at most `drainMs`, cuts what is left, ends every engine. Resolves when none is left. */
  async empty(drainMs: number): Promise<void> {
    this.#course = 'emptying';
    this.#emptyAtMs = this.#context.clock.nowMs() + drainMs;
    for (const instance of this.#instances.values()) {
      instance.drainEndsAtMs = Math.min(instance.drainEndsAtMs, this.#emptyAtMs);
    }
    this.#plan();
    if (this.#isEmpty()) return;
    await new Promise<void>((resolve) => this.#waitingForEmpty.push(resolve));
  }

  /** True while an instance accepts requests. */
  isServing(): boolean {
    return [...this.#instances.values()].some((instance) => instance.rung === 'Awake');
  }

  /** Instances that hold the accelerator: never more than one (DESIGN §2). */
  residents(): number {
    return [...this.#instances.values()].filter(({ rung }) => residentRungs.has(rung)).length;
  }

  report(): InstanceReport[] {
    const { podUid, clock } = this.#context;
    return this.#listTold().map((instance) => renderReport(podUid, instance, clock.nowMs()));
  }

  /** The hub refuses more, and those that leave count beside those of a full target. Who holds the accelerator is always told. */
  #listTold(): Instance[] {
    const all = [...this.#instances.values()];
    if (all.length <= SLOT_INSTANCES_MAX) return all;
    const rank = ({ rung }: Instance) => (residentRungs.has(rung) ? 0 : 1);
    return all.sort((a, b) => rank(a) - rank(b)).slice(0, SLOT_INSTANCES_MAX);
  }

  /** Whether a request may go to the instance of this id. An admitted request holds its place until its ticket is released. */
  admit(id: string): Admission {
    const instance = this.#instances.get(parseInstanceId(id)?.revision ?? '');
    if (instance === undefined || instanceIdOf(this.#context.podUid, instance) !== id)
      return refuse('StaleIncarnation');
    const refusal = this.#refusalOf(instance);
    if (refusal !== undefined) return refuse(refusal);
    const { engine, model } = instance;
    if (engine === undefined) return refuse('NotAwake');
    const { process, launch } = engine;
    return { type: 'admitted', flight: { model, launch, process, ticket: instance.inFlight.board() } };
  }

  /** Asks every engine that should answer whether it does. Called at a steady pace. */
  async checkVitals(): Promise<void> {
    for (const instance of [...this.#instances.values()]) {
      if (this.#moving !== undefined) return;
      const verdict = await checkVitals(instance, this.#context);
      if (verdict === 'unresponsive' && this.#moving === undefined) {
        this.#move(instance, () => endUnresponsive(instance, this.#context));
      }
    }
  }

  #refusalOf(instance: Instance): Refusal | undefined {
    if (this.#course === 'emptying') return 'Draining';
    const { rung } = instance;
    if (rung === 'Draining' || rung === 'Sleeping' || rung === 'Stopping') return 'Draining';
    if (rung !== 'Awake' || !instance.probed) return 'NotAwake';
    const places = Math.min(instance.launch.concurrency, instance.engine?.launch.concurrency ?? 0);
    return instance.inFlight.count() >= places ? 'Full' : undefined;
  }

  #takeOver(wanted: TargetInstance): Instance {
    const { revision, model, launch } = wanted;
    const instance = this.#instances.get(revision) ?? this.#create({ revision, model, launch });
    instance.launch = launch;
    const canSleep = this.#context.adapters[launch.engine].survivesSleep(launch);
    instance.wanted = wanted.rung === 'Asleep' && !canSleep ? 'Staged' : wanted.rung;
    return instance;
  }

  #create(named: { revision: string; model: string; launch: Launch }): Instance {
    const { clock, incarnations } = this.#context;
    const flights = createInFlight(() => this.#onFlightChange(instance));
    const instance = createInstance(
      { ...named, incarnation: incarnations.latest(named.revision) },
      flights,
      clock.nowMs(),
    );
    return instance;
  }

  #onFlightChange(instance: Instance): void {
    const { clock, metrics, onChange } = this.#context;
    instance.activeAtMs = clock.nowMs();
    metrics.set('agentInFlight', { model: instance.model }, instance.inFlight.count());
    onChange();
    if (instance.rung === 'Draining' && instance.inFlight.count() === 0) this.#plan();
  }

  /** Plans and acts until nothing is left to do now. Actions may change what is planned: then once more. */
  #plan(): void {
    this.#isPlanStale = true;
    if (this.#isPlanning) return;
    this.#isPlanning = true;
    try {
      while (this.#isPlanStale) {
        this.#isPlanStale = false;
        this.#planOnce();
      }
    } finally {
      this.#isPlanning = false;
    }
    if (this.#isEmpty()) for (const resolve of this.#waitingForEmpty.splice(0)) resolve();
  }

  #planOnce(): void {
    const { clock } = this.#context;
    this.#timer?.cancel();
    const nowMs = clock.nowMs();
    const { action, lookAgainInMs } = planSlot({
      instances: [...this.#instances.values()].map((each) => ({
        ...viewInstance(each, nowMs),
        wanted: this.#wanted(each),
      })),
      ...(this.#moving === undefined ? {} : { moving: this.#moving.instance.revision }),
      isGivingUp: this.#moving?.giveUp.signal.aborted ?? false,
    });
    if (lookAgainInMs !== undefined) this.#timer = clock.after(Math.ceil(lookAgainInMs), () => this.#plan());
    const instance = action === undefined ? undefined : this.#instances.get(action.revision);
    if (action === undefined || instance === undefined) return;
    this.#isPlanStale = true;
    this.#act(action.type, instance);
  }

  #wanted(instance: Instance): Wanted {
    if (this.#course === 'obeying') return instance.wanted;
    const staysUp = this.#course === 'lastCalls' && instance.wanted === 'Awake' && instance.rung === 'Awake';
    return staysUp ? 'Awake' : 'Absent';
  }

  #act(type: SlotAction['type'], instance: Instance): void {
    const context = this.#context;
    switch (type) {
      case 'drain':
        instance.drainEndsAtMs = Math.min(context.clock.nowMs() + instance.launch.drainMs, this.#emptyAtMs);
        moveTo(instance, 'Draining', context);
        return;
      case 'resume':
        moveTo(instance, 'Awake', context);
        return;
      case 'settle':
        moveTo(instance, 'Staged', context);
        return;
      case 'forget':
        this.#instances.delete(instance.revision);
        this.#forgetModel(instance.model);
        context.onChange();
        return;
      case 'giveUp':
        this.#moving?.giveUp.abort(new Error('nobody wants it any more'));
        return;
      case 'start':
        this.#move(instance, (giveUp) => start(instance, giveUp, context));
        return;
      case 'wake':
        this.#move(instance, (giveUp) => wake(instance, giveUp, context));
        return;
      case 'sleep':
        this.#move(instance, () => sleep(instance, context));
        return;
      case 'stop':
        this.#move(instance, () => stop(instance, context));
        return;
      default:
        unreachable(type);
    }
  }

  /** Two revisions of one model share its series. */
  #forgetModel(model: string): void {
    const isLeft = [...this.#instances.values()].some((instance) => instance.model === model);
    if (!isLeft) this.#context.metrics.forget('agentInFlight', { model });
  }

  #move(instance: Instance, transition: (giveUp: AbortSignal) => Promise<void>): void {
    assert(this.#moving === undefined, 'one transition runs at a time in a slot');
    const moving = { instance, giveUp: new AbortController() };
    this.#moving = moving;
    void transition(moving.giveUp.signal)
      .catch((error: unknown) => {
        this.#context.log.error({ revision: instance.revision, error: String(error) }, 'a transition broke a promise');
      })
      .then(() => {
        this.#moving = undefined;
        this.#settleExit(instance);
        this.#plan();
      });
  }

  /** An engine that ended by itself, perhaps during a transition that did not notice. */
  #settleExit(instance: Instance): void {
    const exit = instance.engine?.exit;
    if (exit !== undefined) failExited(instance, exit, this.#context);
  }

  #isEmpty(): boolean {
    return this.#course === 'emptying' && this.#moving === undefined && this.#instances.size === 0;
  }
}

function refuse(refusal: Refusal): Admission {
  return { type: 'refused', refusal };
}
