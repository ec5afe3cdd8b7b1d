// Whether an engine that should answer does, and how much memory it holds. A single missed question proves nothing: a loaded
// machine is slow. Never touches an engine that a transition works on.
import { deadlineSignal } from '../lib/clock.ts';
import { raceAbort } from './climb.ts';
import { showLoad } from './engine-load.ts';
import type { Instance } from './instance.ts';
import type { SlotContext } from './transitions.ts';

/** Only engines at rest are asked: awake (also draining) or asleep. */
export async function checkVitals(instance: Instance, slot: SlotContext): Promise<'fine' | 'unresponsive'> {
  const { engine, rung } = instance;
  if (engine === undefined || (rung !== 'Awake' && rung !== 'Draining' && rung !== 'Asleep')) return 'fine';
  const { clock, limits } = slot;
  const deadline = deadlineSignal(clock, limits.vitalsEveryMs, {
    reason: new Error('the engine did not answer in time'),
  });
  try {
    await raceAbort(engine.process.check(deadline.signal), deadline.signal);
    const { residentBytes } = await engine.process.memory();
    const load = await raceAbort(engine.process.load(deadline.signal), deadline.signal);
    if (isUp(instance)) showLoad(instance.model, load, slot.metrics);
    engine.misses = 0;
    if (instance.engine === engine) instance.residentBytes = residentBytes;
  } catch (error) {
    engine.misses += 1;
    engine.lastMiss = error instanceof Error ? error.message : String(error);
  } finally {
    deadline.cancel();
  }
  const isStillThere = instance.engine === engine && engine.exit === undefined;
  return isStillThere && engine.misses >= limits.vitalsMissesMax ? 'unresponsive' : 'fine';
}

/** It may have begun to fall asleep while it was asked. */
function isUp({ rung }: Instance): boolean {
  return rung === 'Awake' || rung === 'Draining';
}
