// Reconciles one Pool: as many slots as the plan says, its finalizer, its status. Never stops what runs in a slot: its agent drains
// when the Pod goes.
import { kinds, type Pod } from '../api/kinds.ts';
import type { Pool } from '../api/pool.ts';
import { planSlots } from '../core/plan/slots.ts';
import { RESYNC_MS } from './bounds.ts';
import { keepCapacityBuffer } from './capacity-buffer.ts';
import { findOwned } from './ownership.ts';
import type { PoolContext } from './pool-context.ts';
import { noteSetbacks, recallSetback, refusalOf } from './pool-setbacks.ts';
import { findAwaiting, listFlavours, listUnseen, newSlot, noteConnected, viewSlot } from './pool-slots.ts';
import { announce, renderPoolStatus } from './pool-status.ts';
import { chooseFlavour, listWantedFlavours } from './slot-flavour.ts';
import { createSlot, removeSlot, removeSlots } from './slot-making.ts';
import { keepNetworkPolicy } from './slot-network.ts';
import { isLeaving } from './slot-pod.ts';
import { writeFinalizer, writeStatus } from './status.ts';
import { done, type Outcome } from './work-queue.ts';

export const POOL_FINALIZER = 'stoker.dev/slots';

export async function reconcilePool(name: string, context: PoolContext, signal: AbortSignal): Promise<Outcome> {
  const { cluster } = context.options;
  const pool = cluster.get(kinds.Pool, name);
  if (pool === undefined) {
    context.made.delete(name);
    context.setbacks.delete(name);
    return done;
  }
  const pods = findOwned(cluster.list(kinds.Pod), pool);
  if (pool.metadata.deletionTimestamp !== undefined) return finish(pool, pods, { context, signal });
  const held = { kind: kinds.Pool, object: pool, finalizer: POOL_FINALIZER, isHeld: true };
  if (pool.metadata.finalizers?.includes(POOL_FINALIZER) !== true) return writeFinalizer(cluster, held, signal);
  const guarded = await keepNetworkPolicy(pool, context.linkPort, { ...context, seen: context.children, signal });
  if (guarded.type !== 'done' && guarded.type !== 'failed') return guarded;
  const unseen = listUnseen(name, pods, context);
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
  if (removed.type !== 'done') return removed;
  const waitMs = noteSetbacks(pool, { pods, removed: plan.remove.map((slot) => slot.name), context });
  // Without its NetworkPolicy there is no new slot; those that there are go on.
  const mayCreate = plan.create > 0 && guarded.type === 'done';
  if (mayCreate && waitMs === 0) {
    const flavour = lacking.length > 0 ? lacking[0] : chooseFlavour(flavours, listFlavours(pods));
    return createSlot(pool, { context, signal, more: plan.create > 1, flavour });
  }
  const setback = guarded.type === 'failed' ? refusalOf(guarded) : recallSetback(name, plan, { pods, unseen, context });
  const replicas = countBuffered(pool, pods.length + unseen.length, context);
  const buffer = await keepCapacityBuffer(pool, replicas, { ...context, signal });
  const status = renderPoolStatus(pool, pods, { context, setback, buffer });
  const written = await writeStatus(cluster, { kind: kinds.Pool, object: pool, status }, signal);
  if (written.type !== 'done') return written;
  announce(pool, status, context);
  if (guarded.type === 'failed') return guarded;
  return { type: 'again', afterMs: plan.create > 0 ? Math.min(waitMs, RESYNC_MS) : RESYNC_MS };
}

/** Nodes are kept for as many as should stand free, and never for more than may be made. */
function countBuffered({ metadata, spec }: Pool, slots: number, { spare }: PoolContext): number | undefined {
  const wish = spare.wishOf(metadata.name);
  return wish === undefined ? undefined : Math.min(wish.figures.wanted, Math.max(0, spec.slots.max - slots));
}

/** Every slot drains by itself when its Pod is deleted; the Pool goes when none is left. */
async function finish(
  pool: Pool,
  pods: readonly Pod[],
  { context, signal }: { readonly context: PoolContext; readonly signal: AbortSignal },
): Promise<Outcome> {
  const { cluster } = context.options;
  for (const pod of pods) {
    if (isLeaving(pod)) continue;
    const removed = await removeSlot(pods, pod.metadata.name, { context, signal, reason: 'the pool is being deleted' });
    if (removed.type !== 'done') return removed;
  }
  if (pods.length > 0 || listUnseen(pool.metadata.name, pods, context).length > 0)
    return { type: 'again', afterMs: 1000 };
  return writeFinalizer(cluster, { kind: kinds.Pool, object: pool, finalizer: POOL_FINALIZER, isHeld: false }, signal);
}
