// Ends a Pool that is being deleted: its slots are deleted and waited for, the status says which, and the Pool goes when none is
// left. Never takes a Pod away by force: whether something still runs on a node that does not answer is for people to say.
import { kinds, type Pod } from '../api/kinds.ts';
import type { Pool } from '../api/pool.ts';
import { type AgeOf, isNodeLost, isOverdue } from '../core/plan/node-loss.ts';
import { FINISH_LOOK_MS } from './bounds.ts';
import type { PoolContext, Trouble } from './pool-context.ts';
import { listUnseen } from './pool-slots.ts';
import { announce, renderPoolStatus } from './pool-status.ts';
import { explainFailure } from './refusals.ts';
import { removeSlots } from './slot-making.ts';
import { isLeaving } from './slot-pod.ts';
import { writeFinalizer, writeStatus } from './status.ts';
import type { Outcome } from './work-queue.ts';

export const POOL_FINALIZER = 'stoker.dev/slots';

/** Every slot drains by itself when its Pod is deleted. */
export async function finishPool(
  pool: Pool,
  pods: readonly Pod[],
  { context, signal }: { readonly context: PoolContext; readonly signal: AbortSignal },
): Promise<Outcome> {
  const { cluster } = context.options;
  const staying = pods.filter((pod) => !isLeaving(pod)).map(({ metadata }) => metadata.name);
  const remove = staying.map((name) => ({ name, reason: 'the pool is being deleted' }));
  const removed = await removeSlots({ create: 0, remove }, pods, { context, signal });
  if (removed.type !== 'done' && removed.type !== 'failed') return removed;
  const unseen = await listUnseen(pool.metadata.name, pods, { context, signal });
  if (pods.length === 0 && unseen.length === 0) {
    const freed = { kind: kinds.Pool, object: pool, finalizer: POOL_FINALIZER, isHeld: false };
    return writeFinalizer(cluster, freed, signal);
  }
  const setback = explainFailure(removed) ?? findStuck(pods, context.ages.ageOf);
  const status = renderPoolStatus(pool, pods, { context, setback, buffer: { type: 'keep' } });
  const written = await writeStatus(cluster, { kind: kinds.Pool, object: pool, status }, signal);
  if (written.type !== 'done') return written;
  announce(pool, status, context);
  // A Pod that goes is a change, and brings the Pool back at once.
  return removed.type === 'failed' ? removed : { type: 'again', afterMs: FINISH_LOOK_MS };
}

/** The first Pod that will hardly end by itself: its node is away, or its time was over a while ago. */
function findStuck(pods: readonly Pod[], ageOf: AgeOf): Trouble | undefined {
  const [first, ...others] = pods.filter((pod) => isNodeLost(pod) || isOverdue(pod, ageOf));
  if (first === undefined) return undefined;
  const { name } = first.metadata;
  const node = first.spec.nodeName ?? '';
  const [where, remedy] =
    node === ''
      ? ['', '']
      : [` on the node ${node}`, ` If the node is gone for good, delete it: \`kubectl delete node ${node}\`.`];
  const more = others.length === 0 ? '' : ` So it is with ${others.length} more.`;
  const message = `The Pod ${name}${where} does not end, so the Pool stays.${more}${remedy} \`kubectl describe pod ${name}\` says what else holds it.`;
  return { reason: 'DeletionStuck', message };
}
