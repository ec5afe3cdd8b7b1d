// The system's clock, some times faster: waits that are bounds in minutes pass in a test that runs real sockets.
import { type Clock, systemClock } from '../../src/lib/clock.ts';

export function createFastClock(factor: number): Clock {
  const beganMs = systemClock.nowMs();
  const beganWallMs = systemClock.wallMs();
  const passedMs = () => (systemClock.nowMs() - beganMs) * factor;
  return {
    wallMs: () => beganWallMs + passedMs(),
    nowMs: () => beganMs + passedMs(),
    after: (delayMs, fire, options) => systemClock.after(delayMs / factor, fire, options),
  };
}
