// The age of what happened to a Pod, where every clock shows the same.
import type { AgeOf } from '../../src/core/plan/node-loss.ts';

export function ageAt(wallMs: number): AgeOf {
  return (_, saidMs) => wallMs - saidMs;
}
