// Waiting for the moment when nothing runs or waits any more, for as long as one may.
// Must never leave a timer behind.
import type { Clock } from '../../lib/clock.ts';

export interface Idleness {
  /** True once it is idle; false when that took longer than `waitMsMax`. */
  when(waitMsMax: number): Promise<boolean>;
  /** To be called whenever it may have become idle. */
  tell(): void;
}

export function createIdleness(clock: Clock, isIdle: () => boolean): Idleness {
  let waiters: (() => void)[] = [];
  return {
    async when(waitMsMax) {
      if (isIdle()) return true;
      return await new Promise((resolve) => {
        const timer = clock.after(waitMsMax, () => {
          waiters = waiters.filter((waiter) => waiter !== onIdle);
          resolve(false);
        });
        const onIdle = () => {
          timer.cancel();
          resolve(true);
        };
        waiters.push(onIdle);
      });
    },
    tell() {
      if (!isIdle()) return;
      for (const waiter of waiters.splice(0)) waiter();
    },
  };
}
