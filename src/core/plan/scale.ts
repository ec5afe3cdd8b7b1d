// How many instances of one model should be awake: a pure function of what routers and agents say, with every figure that
// it used and a sentence. Simple on purpose: wake on demand up to the most, sleep when idle. Unknown demand never lowers it.
import type { Ascent, ModelLoad } from './snapshot.ts';

export interface ScaleSnapshot {
  readonly model: string;
  readonly minAwake: number;
  readonly maxAwake: number;
  readonly sleepAfterMs: number;
  /** Requests that one instance serves at the same time. */
  readonly concurrency: number;
  /** What fresh routers say. */
  readonly load: ModelLoad;
  /** False when there is no router, or one that was silent for too long. */
  readonly isLoadKnown: boolean;
  /** Instances of the stable revision that are wanted awake now. */
  readonly instances: readonly { readonly ascent: Ascent; readonly inFlight: number; readonly idleMs: number }[];
}

export interface ScaleTerm {
  readonly name: string;
  readonly value: string | number | boolean;
  readonly meaning: string;
}

export type ScaleAction = 'Wake' | 'Sleep' | 'Hold' | 'Keep';

export interface ScaleDecision {
  readonly model: string;
  readonly desired: number;
  readonly action: ScaleAction;
  /** For people. It names no running figures, so that it changes only when the reason does. */
  readonly sentence: string;
  readonly terms: readonly ScaleTerm[];
}

interface Figures {
  readonly now: number;
  readonly byDemand: number;
  readonly kept: number;
  readonly desired: number;
}

export function planScale(snapshot: ScaleSnapshot): ScaleDecision {
  const figures = computeFigures(snapshot);
  const { now, desired } = figures;
  const held = !snapshot.isLoadKnown && now > 0 && desired === now;
  const action: ScaleAction = desired > now ? 'Wake' : desired < now ? 'Sleep' : held ? 'Hold' : 'Keep';
  return {
    model: snapshot.model,
    desired,
    action,
    sentence: renderSentence(snapshot, figures, action),
    terms: renderTerms(snapshot, figures),
  };
}

/** A model that somebody else serves is never woken. */
export function keepUpstream(model: string): ScaleDecision {
  const sentence = 'Nothing should be awake: somebody else serves it.';
  return { model, desired: 0, action: 'Keep', sentence, terms: [] };
}

function computeFigures(snapshot: ScaleSnapshot): Figures {
  const { load, concurrency, minAwake, maxAwake, instances } = snapshot;
  const now = instances.length;
  const served = instances.reduce((sum, instance) => sum + instance.inFlight, 0);
  const work = load.queued + Math.max(load.inFlight, served);
  const byWork = Math.ceil(work / concurrency);
  const byDemand = load.wakeLeaseMs > 0 ? Math.max(1, byWork) : byWork;
  const kept = instances.filter((instance) => isKept(instance, snapshot.sleepAfterMs)).length;
  const known = Math.min(maxAwake, Math.max(minAwake, byDemand, kept));
  return { now, byDemand, kept, desired: snapshot.isLoadKnown ? known : Math.max(known, now) };
}

function isKept({ ascent, inFlight, idleMs }: ScaleSnapshot['instances'][number], sleepAfterMs: number): boolean {
  if (ascent === 'Failed') return false;
  return ascent !== 'Up' || inFlight > 0 || idleMs < sleepAfterMs;
}

const count = (number: number) => `${number} ${number === 1 ? 'instance' : 'instances'}`;

function renderSentence(snapshot: ScaleSnapshot, figures: Figures, action: ScaleAction): string {
  const { desired, now } = figures;
  if (action === 'Hold') return `${count(now)} awake as before: no router says how much there is to do.`;
  if (action === 'Sleep' && now > snapshot.maxAwake) return `${count(desired)} may be awake: maxAwake was lowered.`;
  if (desired === 0) return `Nothing should be awake: ${action === 'Sleep' ? renderIdle(snapshot) : 'nobody asks'}.`;
  return `${count(desired)} should be awake: ${renderCause(snapshot, figures)}.`;
}

function renderIdle({ sleepAfterMs }: ScaleSnapshot): string {
  return `nothing came for ${sleepAfterMs / 1000} s`;
}

function renderCause(snapshot: ScaleSnapshot, { byDemand, desired, now }: Figures): string {
  const { minAwake, maxAwake, sleepAfterMs, load } = snapshot;
  if (byDemand > maxAwake) return `there is work for more, but maxAwake is ${maxAwake}`;
  if (byDemand >= desired && byDemand > minAwake) {
    if (load.queued > 0) return 'requests wait';
    return load.wakeLeaseMs > 0 ? 'a caller was told to come back' : 'requests are being served';
  }
  if (desired === minAwake) return `minAwake is ${minAwake}`;
  return desired < now ? renderIdle(snapshot) : `the last request is less than ${sleepAfterMs / 1000} s ago`;
}

function renderTerms(snapshot: ScaleSnapshot, figures: Figures): ScaleTerm[] {
  const { load, minAwake, maxAwake, sleepAfterMs, concurrency, isLoadKnown, instances } = snapshot;
  const idle = instances.filter((instance) => instance.ascent === 'Up').map((instance) => instance.idleMs);
  return [
    { name: 'known', value: isLoadKnown, meaning: 'every router said lately how much there is to do' },
    { name: 'queued', value: load.queued, meaning: 'requests that wait' },
    { name: 'inFlight', value: load.inFlight, meaning: 'requests that are being served' },
    {
      name: 'wakeLeaseMs',
      value: Math.round(load.wakeLeaseMs),
      meaning: 'time left to a caller that was told to come back',
    },
    { name: 'concurrency', value: concurrency, meaning: 'requests that one instance serves at once' },
    { name: 'byDemand', value: figures.byDemand, meaning: 'instances for what is queued and in flight' },
    {
      name: 'idleMs',
      value: idle.length === 0 ? 'none' : Math.round(Math.max(...idle)),
      meaning: 'time the idlest awake instance had nothing to do',
    },
    { name: 'sleepAfterMs', value: sleepAfterMs, meaning: 'time after which an idle instance sleeps' },
    { name: 'kept', value: figures.kept, meaning: 'instances that climb, serve, or served lately' },
    { name: 'minAwake', value: minAwake, meaning: 'instances that never sleep' },
    { name: 'maxAwake', value: maxAwake, meaning: 'instances that may be awake' },
    { name: 'now', value: figures.now, meaning: 'instances that were wanted awake before' },
    { name: 'desired', value: figures.desired, meaning: 'instances that are wanted awake now' },
    { name: 'otherwise', value: renderCounterfactual(snapshot, figures), meaning: 'what would change it' },
  ];
}

/** The nearest world in which the decision would be another one. */
function renderCounterfactual(snapshot: ScaleSnapshot, figures: Figures): string {
  const { minAwake, maxAwake } = snapshot;
  const { byDemand, kept, desired } = figures;
  if (byDemand > maxAwake) return `with maxAwake ${byDemand} it would be ${byDemand}`;
  if (!snapshot.isLoadKnown && desired > Math.max(minAwake, byDemand))
    return 'with fresh news of routers it could be fewer';
  if (desired === minAwake && desired > 0 && byDemand < minAwake && kept < minAwake)
    return `with minAwake 0 it would be ${Math.max(byDemand, kept)}`;
  if (desired > byDemand) return `without the instances kept it would be ${Math.max(minAwake, byDemand)}`;
  if (byDemand > 0) return `without requests it would be ${Math.min(maxAwake, Math.max(minAwake, kept))}`;
  return 'the first request wakes one';
}
