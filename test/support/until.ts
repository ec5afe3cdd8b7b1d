// Waits for a condition instead of sleeping: turns the event loop until it holds, for at most `msMax`.
import { setImmediate } from 'node:timers/promises';

export async function until(condition: () => boolean | Promise<boolean>, what: string, msMax = 5000): Promise<void> {
  const endMs = performance.now() + msMax;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`waited ${msMax} ms in vain for: ${what}`);
    await setImmediate();
  }
}
