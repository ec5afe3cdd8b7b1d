// What people see of a plan: the status of each Model and Pool, the labels and marks of slots, the count of instances. Remembers
// what was seen before, and tells whose object is out of date. Decides nothing, and writes nothing to the cluster.
import { type Rung, rungs } from '../api/link.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { findKeptSlots } from './kept-slots.ts';
import { type ModelView, viewModel } from './model-view.ts';
import type { World } from './observe.ts';

export interface PlanViewsOptions {
  readonly metrics: Metrics;
  /** What people see of these has changed. */
  onChange(kind: 'Model' | 'Pool' | 'Slot', name: string): void;
}

type Warmth = Parameters<typeof viewModel>[1];

export interface PlanViews {
  /** `warmth` of each model, and the sentence of its last decision. */
  noteModels(
    world: World,
    warmth: ReadonlyMap<string, Warmth>,
    sentenceOf: (model: string) => string | undefined,
  ): void;
  noteSlots(world: World): void;
  viewOf(model: string): ModelView | undefined;
  /** The model that is awake in a slot, by Pod name. */
  awakeIn(slot: string): string | undefined;
  /** Whether a slot, by Pod name, is not to be emptied only to save its node. */
  isKept(slot: string): boolean;
}

export function createPlanViews({ metrics, onChange }: PlanViewsOptions): PlanViews {
  const count = createInstanceCount(metrics);
  let views: ReadonlyMap<string, ModelView> = new Map();
  let labels: ReadonlyMap<string, string> = new Map();
  let kept: ReadonlySet<string> = new Set();
  let pools: ReadonlyMap<string, string> = new Map();
  return {
    noteModels(world, warmth, sentenceOf) {
      const now = new Map<string, ModelView>();
      for (const live of world.models) {
        const row = warmth.get(live.name);
        if (row !== undefined) now.set(live.name, viewModel(live, row, world, sentenceOf(live.name)));
      }
      // Replaced before anybody is told: who is told reads them at once.
      const before = views;
      views = now;
      for (const [name, view] of now) {
        if (JSON.stringify(before.get(name)) !== JSON.stringify(view)) onChange('Model', name);
      }
      count(world, now.keys());
    },
    noteSlots(world) {
      const before = { labels, kept, pools };
      labels = readLabels(world);
      kept = findKeptSlots(world);
      pools = describePools(world);
      const marked = [...before.kept, ...kept].filter((name) => before.kept.has(name) !== kept.has(name));
      for (const name of new Set([...changedKeys(before.labels, labels), ...marked])) onChange('Slot', name);
      for (const name of changedKeys(before.pools, pools)) onChange('Pool', name);
    },
    viewOf: (model) => views.get(model),
    awakeIn: (slot) => labels.get(slot),
    isKept: (slot) => kept.has(slot),
  };
}

function readLabels({ slots }: World): Map<string, string> {
  const labels = new Map<string, string>();
  for (const { name, isLeaving, instances } of slots) {
    const awake = instances.find(({ rung, probed }) => rung === 'Awake' && probed);
    if (awake !== undefined && !isLeaving) labels.set(name, awake.model);
  }
  return labels;
}

/** A text that changes when a Pool has to look at its slots again. */
function describePools({ slots }: World): Map<string, string> {
  const texts = new Map<string, string>();
  for (const { name, pool, isUsable, instances } of slots) {
    const rungTexts = instances.map(({ rung }) => rung).join();
    // A slot that cannot be commanded is replaced when it has nothing to do, so its Pool hears of that.
    const state = isUsable ? 'usable' : instances.some(({ inFlight }) => inFlight > 0) ? 'busy' : 'idle';
    texts.set(pool, `${texts.get(pool) ?? ''}${name} ${state} ${rungTexts};`);
  }
  return texts;
}

/** Sets a gauge for each model and rung, when something of the model has changed. */
function createInstanceCount(metrics: Metrics): (world: World, models: Iterable<string>) => void {
  const texts = new Map<string, string>();
  return (world, models) => {
    const counts = countRungs(world, models);
    for (const [model, row] of counts) {
      const text = [...row].sort().join();
      if (texts.get(model) === text) continue;
      texts.set(model, text);
      for (const rung of rungs) metrics.set('instances', { model, rung }, row.get(rung) ?? 0);
    }
    for (const model of [...texts.keys()].filter((known) => !counts.has(known))) {
      texts.delete(model);
      for (const rung of rungs) metrics.forget('instances', { model, rung });
    }
  };
}

function countRungs({ slots }: World, models: Iterable<string>): ReadonlyMap<string, ReadonlyMap<Rung, number>> {
  const counts = new Map<string, Map<Rung, number>>([...models].map((model) => [model, new Map()]));
  for (const { model, rung } of slots.flatMap(({ instances }) => instances)) {
    const row = counts.get(model);
    row?.set(rung, (row.get(rung) ?? 0) + 1);
  }
  return counts;
}

function changedKeys(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].filter((name) => before.get(name) !== after.get(name));
}
