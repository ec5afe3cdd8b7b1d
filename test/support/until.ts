// Waits for a condition instead of sleeping: turns the event loop until it holds, for at most `msMax`. What has not come in a
// moment comes from another process, or from the clock: then it looks less often, and leaves that process its core.
import { setImmediate, setTimeout } from 'node:timers/promises';

const EAGER_MS = 200;

export async function until(condition: () => boolean | Promise<boolean>, what: string, msMax = 15_000): Promise<void> {
  const startMs = performance.now();
  const endMs = startMs + msMax;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`waited ${msMax} ms in vain for: ${what}`);
    await (performance.now() - startMs < EAGER_MS ? setImmediate() : setTimeout(1));
  }
}
