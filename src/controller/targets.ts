// Tells agents their targets: whole, fenced by (epoch, seq), only when something is different or the session is new.
// Never tells a slot less than it has because something could not be looked up.
import { kinds } from '../api/kinds.ts';
import type { Launch, TargetInstance } from '../api/link.ts';
import type { Assignment } from '../core/plan/snapshot.ts';
import type { Cluster } from '../ports/cluster.ts';
import type { AgentRecord, Fleet } from './fleet.ts';
import { renderLaunch } from './launch.ts';
import type { World } from './observe.ts';
import { SLOT_KEY_VERSION } from './slot-keys.ts';

interface TellerOptions {
  readonly cluster: Cluster;
  readonly fleet: Fleet;
  readonly engineBuilds: Readonly<Record<Launch['engine'], string>>;
  slotKey(podUid: string): string;
  nextFence(): { readonly epoch: number; readonly seq: number };
}

/** Returns the function that brings every agent up to date; it returns how many were told. */
export function createTeller(options: TellerOptions): (world: World) => number {
  return (world) => {
    let told = 0;
    for (const slot of world.slots) {
      const record = options.fleet.agents.get(slot.podUid);
      if (!slot.isUsable || record === undefined) continue;
      const instances = renderInstances(world, { pool: slot.pool, record }, options);
      if (instances !== undefined && tell(record, instances, options)) told += 1;
    }
    return told;
  };
}

/** Undefined when an instance is to stay and what it runs is not known. */
function renderInstances(
  world: World,
  { pool: poolName, record }: { readonly pool: string; readonly record: AgentRecord },
  { cluster, engineBuilds }: TellerOptions,
): TargetInstance[] | undefined {
  const builds = new Map(record.report?.instances.map(({ revision, engineBuild }) => [revision, engineBuild]));
  const instances: TargetInstance[] = [];
  for (const assignment of record.assigned) {
    const revision = world.revisions.get(assignment.revision);
    const model = cluster.get(kinds.Model, assignment.model);
    const pool = world.pools.get(poolName);
    if (revision === undefined || model === undefined || pool === undefined) return undefined;
    const engineBuild = builds.get(assignment.revision) ?? engineBuilds[revision.spec.engine.name];
    instances.push({ ...named(assignment), launch: renderLaunch({ revision, model, pool, engineBuild }) });
  }
  return instances;
}

function named({ model, revision, rung }: Assignment): Omit<TargetInstance, 'launch'> {
  return { model, revision, rung };
}

function tell(record: AgentRecord, instances: readonly TargetInstance[], options: TellerOptions): boolean {
  const { session, podUid } = record;
  if (session === undefined) return false;
  const keys = [{ version: SLOT_KEY_VERSION, key: options.slotKey(podUid) }];
  const content = JSON.stringify([instances, keys]);
  if (record.told?.session === session.id && record.told.content === content) return false;
  const isSent = session.send({ type: 'target', ...options.nextFence(), instances: [...instances], keys });
  // What could not be sent is tried again at the next plan.
  if (isSent) record.told = { session: session.id, content };
  return isSent;
}
