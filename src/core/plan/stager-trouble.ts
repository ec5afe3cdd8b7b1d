// What keeps a stager's Pod from starting, in the words of somebody who can mend it. Pure. Says nothing of one that runs or has
// ended, which speaks for itself, nor of one that is only young.
import type { Pod } from '../../api/kinds.ts';
import { renderDuration } from '../../lib/units.ts';
import { findTrouble, type SlotTrouble } from './slot-trouble.ts';

/** A claim that was made a moment ago is bound in this time, mostly. Before that no node takes the Pod. */
const UNBOUND_MS = 10_000;
/** A volume is attached and an image is pulled in this time, mostly. */
const YOUNG_MS = 60_000;

export type StagerTrouble = Pick<SlotTrouble, 'reason' | 'message'>;

export function findStagerTrouble(pod: Pod, wallMs: number): StagerTrouble | undefined {
  const { metadata, status } = pod;
  if (status?.phase === 'Running' || status?.phase === 'Succeeded' || status?.phase === 'Failed') return undefined;
  const { name } = metadata;
  const ageMs = wallMs - Date.parse(metadata.creationTimestamp ?? '');
  const found = findTrouble(pod);
  if (found?.reason === 'Unschedulable' && !(ageMs >= UNBOUND_MS)) return undefined;
  // The same words fit: only the name of the thing is another.
  if (found !== undefined) return { ...found, message: found.message.replace(`Slot ${name}`, `The stager ${name}`) };
  if (!(ageMs >= YOUNG_MS)) return undefined;
  const often = 'a claim that no node can mount, or a folder of spec.weights.hostPath that is missing on the node';
  const message = `The stager ${name} has not started for ${renderDuration(YOUNG_MS)} or longer. Often it is ${often}: kubectl describe pod ${name} says which.`;
  return { reason: 'NotStarted', message };
}
