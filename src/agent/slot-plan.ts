// What a slot does next: from where its instances are and where they should be, the single next action. Pure.
// Holds the rules of DESIGN §6: one resident instance, one transition at a time, demote before another climbs.
import { type Rung, residentRungs } from '../api/link.ts';

/** Where an instance should be. `Absent`: no target names it. Asleep is lowered to Staged for engines that cannot sleep. */
export type Wanted = 'Awake' | 'Asleep' | 'Staged' | 'Absent';

export interface InstanceView {
  readonly revision: string;
  readonly rung: Rung;
  readonly wanted: Wanted;
  /** Requests being served. */
  readonly inFlight: number;
  /** Draining: time until what is left is cut. */
  readonly drainLeftMs: number;
  /** After a failure: time until it may be started again. 0 when it may be now. */
  readonly retryInMs: number;
}

export interface SlotView {
  /** In the target's order. */
  readonly instances: readonly InstanceView[];
  /** The revision whose transition is running. */
  readonly moving?: string;
  /** True when the running transition was told to give up. */
  readonly isGivingUp: boolean;
}

export type SlotAction =
  /** Refuse new requests; those in flight go on. */
  | { readonly type: 'drain'; readonly revision: string }
  /** Accept again. */
  | { readonly type: 'resume'; readonly revision: string }
  /** Cut what is still in flight, then release the model's memory and keep the process. */
  | { readonly type: 'sleep'; readonly revision: string }
  /** Cut what is still in flight, then end the process group. */
  | { readonly type: 'stop'; readonly revision: string }
  | { readonly type: 'start'; readonly revision: string }
  | { readonly type: 'wake'; readonly revision: string }
  /** End the climb that is running. */
  | { readonly type: 'giveUp'; readonly revision: string }
  /** A failed instance that is no longer wanted up is Staged. */
  | { readonly type: 'settle'; readonly revision: string }
  | { readonly type: 'forget'; readonly revision: string };

export interface SlotPlan {
  readonly action?: SlotAction;
  /** When nothing can be done now, but something will be by then. */
  readonly lookAgainInMs?: number;
}

const nothing: SlotPlan = {};

export function planSlot(view: SlotView): SlotPlan {
  if (view.moving !== undefined) return planWhileMoving(view, view.moving);
  for (const instance of view.instances) {
    const action = planLetGo(instance);
    if (action !== undefined) return { action };
  }
  const resident = view.instances.find((instance) => residentRungs.has(instance.rung));
  if (resident !== undefined) {
    const plan = planResident(resident);
    if (plan !== undefined) return plan;
  }
  const idle = view.instances.find((instance) => instance.rung === 'Asleep' && isWantedDown(instance));
  if (idle !== undefined) return act('stop', idle);
  return resident === undefined ? planClimb(view.instances) : nothing;
}

function act(type: SlotAction['type'], instance: InstanceView): SlotPlan {
  return { action: { type, revision: instance.revision } };
}

function isWantedDown(instance: InstanceView): boolean {
  return instance.wanted === 'Staged' || instance.wanted === 'Absent';
}

function isDown(instance: InstanceView): boolean {
  return instance.rung === 'Staged' || instance.rung === 'Failed';
}

/** Nothing but giving up a climb that nobody wants any more: it can take minutes. */
function planWhileMoving(view: SlotView, moving: string): SlotPlan {
  const instance = view.instances.find((candidate) => candidate.revision === moving);
  if (instance === undefined || view.isGivingUp || !isWantedDown(instance)) return nothing;
  return instance.rung === 'Starting' || instance.rung === 'Waking' ? act('giveUp', instance) : nothing;
}

function planLetGo(instance: InstanceView): SlotAction | undefined {
  if (instance.rung === 'Failed' && isWantedDown(instance)) return { type: 'settle', revision: instance.revision };
  if (instance.rung === 'Staged' && instance.wanted === 'Absent')
    return { type: 'forget', revision: instance.revision };
  return undefined;
}

/** Undefined: it is where it should be, and others may be looked at. */
function planResident(resident: InstanceView): SlotPlan | undefined {
  if (resident.wanted === 'Awake') return resident.rung === 'Draining' ? act('resume', resident) : undefined;
  if (resident.rung === 'Awake') return act('drain', resident);
  if (resident.inFlight > 0 && resident.drainLeftMs > 0) return { lookAgainInMs: resident.drainLeftMs };
  return act(resident.wanted === 'Asleep' ? 'sleep' : 'stop', resident);
}

/** Who is wanted awake goes first. New sleepers are made only while nobody is: they take the slot for start and sleep. */
function planClimb(instances: readonly InstanceView[]): SlotPlan {
  const wanted = instances.find((instance) => instance.wanted === 'Awake');
  if (wanted !== undefined) {
    if (wanted.rung === 'Asleep') return act('wake', wanted);
    return wanted.retryInMs > 0 ? { lookAgainInMs: wanted.retryInMs } : act('start', wanted);
  }
  const missing = instances.filter((instance) => instance.wanted === 'Asleep' && isDown(instance));
  const ready = missing.find((instance) => instance.retryInMs <= 0);
  if (ready !== undefined) return act('start', ready);
  return missing.length === 0 ? nothing : { lookAgainInMs: Math.min(...missing.map((instance) => instance.retryInMs)) };
}
