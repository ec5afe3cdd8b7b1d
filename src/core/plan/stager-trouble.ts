// What keeps a stager's Pod from starting, or from being heard of, in the words of somebody who can mend it. Pure. Says nothing of
// one that runs or has ended, which speaks for itself, nor of one that is only young.
import type { Pod } from '../../api/kinds.ts';
import { renderDuration } from '../../lib/units.ts';
import { type AgeOf, adviseOnLostNode, isNodeLostFor, isOverdue, sinceMade } from './node-loss.ts';
import { findTrouble, type SlotTrouble } from './slot-trouble.ts';

/** A claim that was made a moment ago is bound in this time, mostly. Before that no node takes the Pod. */
const UNBOUND_MS = 10_000;
/** A volume is attached, an image is pulled and a node has started anew in this time, mostly. */
const YOUNG_MS = 60_000;
/** A volume is made, and a node for its zone is added, in this time, mostly: until then it counts as passing. */
const CLAIM_MS = 300_000;
const WITHOUT_PLACE: ReadonlySet<SlotTrouble['reason']> = new Set(['Unschedulable', 'ClaimMissing', 'ClaimUnusable']);

export type StagerTrouble = Pick<SlotTrouble, 'reason' | 'message'>;

export function findStagerTrouble(pod: Pod, ageOf: AgeOf): StagerTrouble | undefined {
  const { metadata, status } = pod;
  if (isNodeLostFor(pod, YOUNG_MS, ageOf) || isOverdue(pod, ageOf)) return explainLoss(pod);
  if (metadata.deletionTimestamp !== undefined) return undefined;
  if (status?.phase === 'Running' || status?.phase === 'Succeeded' || status?.phase === 'Failed') return undefined;
  const { name } = metadata;
  const ageMs = sinceMade(pod, ageOf);
  const found = findTrouble(pod);
  if (found !== undefined && WITHOUT_PLACE.has(found.reason) && !(ageMs >= UNBOUND_MS)) return undefined;
  if (found !== undefined) {
    const isUnderWay = found.reason === 'ClaimUnusable' && !(ageMs >= CLAIM_MS);
    // The same words fit: only the name of the thing is another.
    const message = found.message.replace(`Slot ${name}`, `The stager ${name}`);
    return { reason: isUnderWay ? 'Unschedulable' : found.reason, message };
  }
  if (!(ageMs >= YOUNG_MS)) return undefined;
  const often = 'a claim that no node can mount, or a folder of spec.weights.hostPath that is missing on the node';
  const message = `The stager ${name} has not started for ${renderDuration(YOUNG_MS)} or longer. Often it is ${often}: kubectl describe pod ${name} says which.`;
  return { reason: 'NotStarted', message };
}

/** Only the kubelet may be cut off: a second one beside it could write to the same files. */
function explainLoss(pod: Pod): StagerTrouble {
  const { metadata, spec } = pod;
  const where = spec.nodeName === undefined ? '' : ` ${spec.nodeName}`;
  const message = `The stager ${metadata.name} cannot be asked or ended: its node${where} does not answer. ${adviseOnLostNode(pod)} No other stager is made for this volume before that, because this one may still write to it.`;
  return { reason: 'NodeLost', message };
}
