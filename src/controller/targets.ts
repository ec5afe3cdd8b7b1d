// Tells agents their targets: whole, fenced by (epoch, seq), only when something is different or the session is new.
// Never tells a slot less than it has because something could not be looked up.
import { kinds } from '../api/kinds.ts';
import { type OwnEngine, SLOT_INSTANCES_MAX, type TargetInstance } from '../api/link.ts';
import type { Assignment } from '../core/plan/snapshot.ts';
import type { Cluster } from '../ports/cluster.ts';
import type { AgentRecord, Fleet } from './fleet.ts';
import type { KeyChanges } from './key-changes.ts';
import { type LaunchFacts, renderLaunch, slotEngineOf } from './launch.ts';
import type { World } from './observe.ts';

interface TellerOptions {
  readonly cluster: Cluster;
  readonly fleet: Fleet;
  readonly engineBuilds: Readonly<Record<OwnEngine, string>>;
  /** Where downloaded sets lie, as slots see it. */
  readonly weightsFolder: string;
  readonly keys: Pick<KeyChanges, 'accepted'>;
  nextFence(): { readonly epoch: number; readonly seq: number };
}

/** Returns the function that brings every agent up to date; it returns how many were told. */
export function createTeller(options: TellerOptions): (world: World) => number {
  return (world) => {
    let told = 0;
    for (const slot of world.slots) {
      const record = options.fleet.agents.get(slot.podUid);
      if (!slot.isUsable || record?.session === undefined) continue;
      const facts = lookUp(world, { pool: slot.pool, record }, options);
      if (facts !== undefined && tell(record, facts, options)) told += 1;
    }
    return told;
  };
}

interface InstanceFacts extends LaunchFacts {
  readonly assignment: Assignment;
}

/** Undefined when an instance is to stay and what it runs is not known. */
function lookUp(
  world: World,
  { pool: poolName, record }: { readonly pool: string; readonly record: AgentRecord },
  { cluster, engineBuilds, weightsFolder }: TellerOptions,
): InstanceFacts[] | undefined {
  const facts: InstanceFacts[] = [];
  for (const assignment of fitTarget(record.assigned)) {
    const revision = world.revisions.get(assignment.revision);
    const model = cluster.get(kinds.Model, assignment.model);
    const pool = world.pools.get(poolName);
    if (revision === undefined || model === undefined || pool === undefined) return undefined;
    const engine = slotEngineOf(revision);
    if (engine === undefined) return undefined;
    const report = record.report?.instances.find((instance) => instance.revision === assignment.revision);
    // What is not ours says its build once it runs; before that the pin is what is known.
    const known = engine === 'Llama' || engine === 'Sim' ? engineBuilds[engine] : revision.spec.engine.build;
    const engineBuild = report?.engineBuild ?? known;
    facts.push({ assignment, revision, model, pool, engineBuild, weightsFolder });
  }
  return facts;
}

/**
 * An agent refuses a longer target, and with it its session. What is only kept because it failed there goes first: where a slot is
 * the trouble, every model that was tried in it is such a one.
 */
function fitTarget(assigned: readonly Assignment[]): readonly Assignment[] {
  if (assigned.length <= SLOT_INSTANCES_MAX) return assigned;
  return [...assigned].sort((a, b) => keepRank(a) - keepRank(b)).slice(0, SLOT_INSTANCES_MAX);
}

function keepRank({ rung }: Assignment): number {
  return rung === 'Staged' ? 1 : 0;
}

/** What a target follows from, in short: most slots have nothing new to be told at most plans. */
function stampOf(facts: readonly InstanceFacts[]): string {
  return facts
    .map(({ assignment, revision, model, pool, engineBuild }) => {
      const { metadata } = revision;
      const specs = `${model.metadata.uid} ${model.metadata.generation} ${pool.metadata.generation}`;
      return `${assignment.revision} ${assignment.rung} ${metadata.resourceVersion} ${specs} ${engineBuild}`;
    })
    .join('\n');
}

function tell(record: AgentRecord, facts: readonly InstanceFacts[], options: TellerOptions): boolean {
  const { session, podUid, told } = record;
  const keys = options.keys.accepted(podUid);
  const stamp = `${keys.map(({ version }) => version).join()}\n${stampOf(facts)}`;
  if (session === undefined || (told?.session === session.id && told.stamp === stamp)) return false;
  const instances = renderInstances(facts);
  if (instances === undefined) return false;
  const content = JSON.stringify([instances, keys]);
  const isNews = told?.session !== session.id || told.content !== content;
  // What could not be sent is tried again at the next plan.
  if (isNews && !session.send({ type: 'target', ...options.nextFence(), instances, keys })) return false;
  record.told = { session: session.id, stamp, content };
  return isNews;
}

/** Undefined when one of them cannot be launched as it is pinned: then the slot keeps what it was told. */
function renderInstances(facts: readonly InstanceFacts[]): TargetInstance[] | undefined {
  const instances: TargetInstance[] = [];
  for (const { assignment, ...facing } of facts) {
    const launch = renderLaunch(facing);
    if (launch === undefined) return undefined;
    instances.push({ ...assignment, launch });
  }
  return instances;
}
