// Makes and deletes the Pods of slots. A serial is reserved in the Pool's status before the Pod of it is made, so that no name is
// used twice. Never decides how many there are to be.
import { kinds, type Pod } from '../api/kinds.ts';
import type { Pool } from '../api/pool.ts';
import type { SlotsPlan } from '../core/plan/slots.ts';
import { fail, type Result } from '../lib/result.ts';
import type { PoolContext } from './pool-context.ts';
import { forgetFailure, noteFailure } from './pool-setbacks.ts';
import { renderFlavouredPod } from './slot-flavour.ts';
import { renderSlotPod } from './slot-pod.ts';
import { outcomeOfError, patchStatusOver } from './status.ts';
import { done, type Outcome } from './work-queue.ts';

/** The cache is a moment behind. */
const NEXT_SLOT_MS = 25;

interface SlotToMake {
  readonly context: PoolContext;
  readonly signal: AbortSignal;
  /** Others are to be made after it. */
  readonly more: boolean;
  /** Undefined: for the built-in engines. */
  readonly flavour: string | undefined;
}

/**
 * One serial at a time: reserved, made, looked at again. A serial is reserved for each try, also after one that failed: a server
 * that did not answer in time may have made the Pod all the same. The result is the Pool as it was written.
 */
export async function reserveSerial(
  pool: Pool,
  { options }: PoolContext,
  signal: AbortSignal,
): Promise<Result<Pool, Outcome>> {
  const reserved = await patchStatusOver(
    options.cluster,
    { kind: kinds.Pool, object: pool, patch: { nextSerial: serialOf(pool) + 1 } },
    signal,
  );
  return reserved.ok ? reserved : fail(outcomeOfError(reserved.error));
}

function serialOf({ status }: Pool): number {
  return status?.nextSerial ?? 0;
}

/** `pool` is the one before its serial was reserved. */
export async function createSlot(pool: Pool, { context, signal, more, flavour }: SlotToMake): Promise<Outcome> {
  const { cluster, log } = context.options;
  const { name } = pool.metadata;
  const serial = serialOf(pool);
  const template = context.template();
  const pod = renderFlavouredPod(renderSlotPod(pool, serial, template), flavour, { pool, template });
  const nowMs = context.options.clock.nowMs();
  context.spare.noteMade(pod.metadata.name, nowMs);
  context.made.set(name, (context.made.get(name) ?? new Map<string, number>()).set(pod.metadata.name, nowMs));
  const created = await cluster.create(kinds.Pod, pod, signal);
  if (!created.ok) {
    context.made.get(name)?.delete(pod.metadata.name);
    const outcome = outcomeOfError(created.error);
    noteFailure(pool, outcome, context);
    return outcome;
  }
  forgetFailure(name, context);
  context.steering.noteMade(name, flavour);
  log.info({ pool: name, slot: pod.metadata.name, serial }, 'a slot is made');
  cluster.recordEvent({
    regarding: pool,
    type: 'Normal',
    reason: 'SlotMade',
    message: `Made the slot ${pod.metadata.name}.`,
  });
  return more ? { type: 'again', afterMs: NEXT_SLOT_MS } : done;
}

export async function removeSlots(
  { remove }: SlotsPlan,
  pods: readonly Pod[],
  { context, signal }: { readonly context: PoolContext; readonly signal: AbortSignal },
): Promise<Outcome> {
  for (const { name, reason } of remove) {
    const removed = await removeSlot(pods, name, { context, signal, reason });
    if (removed.type !== 'done') return removed;
  }
  return done;
}

export async function removeSlot(
  pods: readonly Pod[],
  slot: string,
  { context, signal, reason }: { readonly context: PoolContext; readonly signal: AbortSignal; readonly reason: string },
): Promise<Outcome> {
  const pod = pods.find(({ metadata }) => metadata.name === slot);
  if (pod === undefined) return done;
  const { cluster, log } = context.options;
  const { uid } = pod.metadata;
  const removed = await cluster.remove(kinds.Pod, slot, { ...(uid === undefined ? {} : { uid }), signal });
  if (!removed.ok) return outcomeOfError(removed.error);
  log.info({ slot, reason }, 'a slot is deleted');
  return done;
}
