// Small simulated scenarios for tests: a trace from rows, a setup with everything that a test does not name, and a whole run.
import type { PolicyFactory } from '../../src/sim/policy/policy.ts';
import type { Trace } from '../../src/sim/request.ts';
import type { Scenario } from '../../src/sim/scenario.ts';
import type { SetupOptions } from '../../src/sim/setup.ts';
import { Simulation } from '../../src/sim/simulation.ts';
import type { RunResult } from '../../src/sim/summary.ts';

/** Rows: milliseconds, prompt tokens, output tokens, model. */
export function simTrace(rows: readonly (readonly [number, number, number, string?])[]): Trace {
  const requests = rows.map(([atMs, promptTokens, outputTokens, model = 'model']) => ({
    atMs,
    model,
    promptTokens,
    outputTokens,
  }));
  return { name: 'test', requests };
}

export function simSetup(changes: Partial<SetupOptions> = {}): SetupOptions {
  return {
    profile: 'Size70B',
    firstTokenMsMax: 5000,
    minAwake: 0,
    slots: 8,
    slotsPerNode: 1,
    sleepersPerSlotMax: 4,
    isCold: false,
    isOccupied: false,
    sigma: 0,
    seed: 1,
    ...changes,
  };
}

export async function simRun(scenario: Scenario, policy: PolicyFactory): Promise<RunResult> {
  const simulation = new Simulation(scenario, policy);
  while (simulation.advance(100_000));
  return Promise.resolve(simulation.result());
}
