// How long ago something happened to a Pod, by this controller's own time. The times in objects are by the clocks of other machines,
// which may be hours off: they only tell one happening from the next. Never says when.
import type { AgeOf } from '../core/plan/node-loss.ts';
import type { Clock } from '../lib/clock.ts';
import { PICTURE_MS_MAX } from './bounds.ts';

export interface PodAges {
  /** Since it was first asked for; of what was there before this controller, as the object says, and never less than 0. */
  readonly ageOf: AgeOf;
  /** By uid: the Pods that there are. */
  forgetExcept(pods: ReadonlySet<string | undefined>): void;
}

export function createPodAges(clock: Clock): PodAges {
  const startedMs = clock.nowMs();
  /** By uid of the Pod, and by the time that it says. */
  const seen = new Map<string | undefined, Map<number, number>>();
  const firstSight = (saidMs: number) => {
    const nowMs = clock.nowMs();
    // A restart is no reason to start waiting anew.
    const isInherited = nowMs - startedMs < PICTURE_MS_MAX;
    return isInherited ? nowMs - Math.max(0, clock.wallMs() - saidMs) : nowMs;
  };
  return {
    ageOf({ metadata: { uid } }, saidMs) {
      if (Number.isNaN(saidMs)) return saidMs;
      const times = seen.get(uid) ?? new Map<number, number>();
      const sinceMs = times.get(saidMs) ?? firstSight(saidMs);
      seen.set(uid, times.set(saidMs, sinceMs));
      return clock.nowMs() - sinceMs;
    },
    forgetExcept(pods) {
      for (const uid of seen.keys()) if (!pods.has(uid)) seen.delete(uid);
    },
  };
}
