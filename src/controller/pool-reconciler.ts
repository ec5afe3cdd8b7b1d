// Reconciles one Pool: as many slots as the plan says, its NetworkPolicy, its status. Never stops what runs in a slot: its agent drains
// when the Pod goes.
import { kinds, type Pod } from '../api/kinds.ts';
import type { Pool } from '../api/pool.ts';
import { planSlots, type SlotsPlan } from '../core/plan/slots.ts';
import { PREDECESSOR_LOOK_MS, RESYNC_MS } from './bounds.ts';
import { keepCapacityBuffer } from './capacity-buffer.ts';
import { findOwned } from './ownership.ts';
import type { PoolContext } from './pool-context.ts';
import { finishPool, POOL_FINALIZER } from './pool-deletion.ts';
import { noteSetbacks, recallSetback } from './pool-setbacks.ts';
import { findAwaiting, listFlavours, listUnseen, newSlot, noteConnected, viewSlot } from './pool-slots.ts';
import { announce, renderPoolStatus } from './pool-status.ts';
import { explainFailure } from './refusals.ts';
import { chooseFlavour, listWantedFlavours } from './slot-flavour.ts';
import { createSlot, removeSlots, reserveSerial } from './slot-making.ts';
import { keepNetworkPolicy } from './slot-network.ts';
import { writeFinalizer, writeStatus } from './status.ts';
import { done, type Outcome } from './work-queue.ts';

export async function reconcilePool(name: string, context: PoolContext, signal: AbortSignal): Promise<Outcome> {
  const { cluster } = context.options;
  const pool = cluster.get(kinds.Pool, name);
  if (pool === undefined) {
    context.made.delete(name);
    context.setbacks.delete(name);
    return done;
  }
  const pods = findOwned(cluster.list(kinds.Pod), pool);
  if (pool.metadata.deletionTimestamp !== undefined) return finishPool(pool, pods, { context, signal });
  const held = { kind: kinds.Pool, object: pool, finalizer: POOL_FINALIZER, isHeld: true };
  if (pool.metadata.finalizers?.includes(POOL_FINALIZER) !== true) return writeFinalizer(cluster, held, signal);
  const guarded = await keepNetworkPolicy(pool, context.linkPort, { ...context, seen: context.children, signal });
  if (guarded.type === 'conflict') return guarded;
  return keepSlots(pool, { pods, guarded }, { context, signal });
}

interface Work {
  readonly context: PoolContext;
  readonly signal: AbortSignal;
}

/** `guarded` is what became of its NetworkPolicy. */
async function keepSlots(
  pool: Pool,
  { pods, guarded }: { readonly pods: readonly Pod[]; readonly guarded: Outcome },
  { context, signal }: Work,
): Promise<Outcome> {
  const { cluster } = context.options;
  const { name } = pool.metadata;
  const unseen = await listUnseen(name, pods, { context, signal });
  noteConnected(name, pods, context);
  const lacking = context.steering.lackingIn(name);
  const isAwaiting = findAwaiting(pool, context.options);
  const flavours = listWantedFlavours(cluster, name);
  const plan = planSlots({
    ...pool.spec.slots,
    slots: [
      ...pods.map((pod) => viewSlot(pod, { flavours, isAwaiting: isAwaiting(pod) }, context)),
      ...unseen.map(newSlot),
    ],
    // Those count that the cache has not shown to the planner yet.
    lacking: Math.max(0, lacking.length - unseen.length),
    reserved: context.spare.reservedIn(name),
    isComplete: context.steering.isComplete(),
  });
  const removed = await removeSlots(plan, pods, { context, signal });
  if (removed.type !== 'done' && removed.type !== 'failed') return removed;
  const gone = removed.type === 'done' ? plan.remove.map((slot) => slot.name) : [];
  const waitMs = noteSetbacks(pool, { pods, removed: gone, context });
  // Without its NetworkPolicy there is no new slot, nor while one that should go stays; those that there are go on.
  const hindrance = [guarded, removed].find(({ type }) => type !== 'done');
  const look = { pods, unseen, plan };
  if (plan.create > 0 && waitMs === 0 && hindrance === undefined) {
    const reserved = await reserveSerial(pool, context, signal);
    if (!reserved.ok) return reserved.error;
    const flavour = lacking.length > 0 ? lacking[0] : chooseFlavour(flavours, listFlavours(pods));
    const made = await createSlot(pool, { context, signal, more: plan.create > 1, flavour });
    return made.type === 'failed' ? report(reserved.value, { ...look, outcome: made }, { context, signal }) : made;
  }
  const afterMs = plan.create > 0 ? Math.min(waitMs, RESYNC_MS) : RESYNC_MS;
  return report(pool, { ...look, outcome: hindrance ?? { type: 'again', afterMs } }, { context, signal });
}

interface PoolLook {
  readonly pods: readonly Pod[];
  readonly unseen: readonly string[];
  readonly plan: SlotsPlan;
  /** Of what was done. */
  readonly outcome: Outcome;
}

/** Writes the status, also when something failed: that is when people look at it. Returns the outcome of the look. */
async function report(
  pool: Pool,
  { pods, unseen, plan, outcome }: PoolLook,
  { context, signal }: Work,
): Promise<Outcome> {
  const setback = explainFailure(outcome) ?? recallSetback(pool.metadata.name, plan, { pods, unseen, context });
  const replicas = countBuffered(pool, pods.length + unseen.length, context);
  const buffer = await keepCapacityBuffer(pool, replicas, { ...context, signal });
  const status = renderPoolStatus(pool, pods, { context, setback, buffer });
  const { cluster } = context.options;
  const written = await writeStatus(cluster, { kind: kinds.Pool, object: pool, status }, signal);
  if (written.type !== 'done') return written;
  announce(pool, status, context);
  return buffer.type === 'wait' && outcome.type === 'again' ? { type: 'again', afterMs: PREDECESSOR_LOOK_MS } : outcome;
}

/** Nodes are kept for as many as should stand free, and never for more than may be made. */
function countBuffered({ metadata, spec }: Pool, slots: number, { spare }: PoolContext): number | undefined {
  const wish = spare.wishOf(metadata.name);
  return wish === undefined ? undefined : Math.min(wish.figures.wanted, Math.max(0, spec.slots.max - slots));
}
