// Whether an engine that has work gets on with it. The health answers of engines that are not ours come from another process
// than the one that computes, and stay green when that one hangs or is gone (vllm#39863, sglang#6624).
import type { Clock } from '../../lib/clock.ts';
import { EngineError } from '../engine-error.ts';

export interface Progress {
  /** Requests that it computes or that wait for it. */
  readonly busy: number;
  /** Any figure that grows with each step. */
  readonly steps: number;
}

export interface ProgressWatch {
  /** EngineStuck when nothing moved for too long although there was work at every look. */
  look(progress: Progress): EngineError | undefined;
  /** Forgets what it saw: the engine slept in between. */
  reset(): void;
}

export function createProgressWatch(clock: Clock, stuckMsMax: number): ProgressWatch {
  let last: { steps: number; sinceMs: number } | undefined;
  return {
    look({ busy, steps }) {
      const nowMs = clock.nowMs();
      if (busy === 0 || last === undefined || steps !== last.steps) {
        last = { steps, sinceMs: nowMs };
        return undefined;
      }
      const stuckMs = nowMs - last.sinceMs;
      if (stuckMs <= stuckMsMax) return undefined;
      const seconds = Math.round(stuckMs / 1000);
      return new EngineError(
        'EngineStuck',
        `The engine answers, but computed nothing for ${seconds} s with ${busy} requests.`,
      );
    },
    reset() {
      last = undefined;
    },
  };
}
