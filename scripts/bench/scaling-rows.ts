// Rows of the scaling benchmark: what is measured, the target, the figure, and whether it is met. Rows without a target stand
// beside the others for comparison and cannot be missed.
import { renderTable } from '../../src/cli/table.ts';
import type { PolicyFactory } from '../../src/sim/policy/policy.ts';
import type { Scenario } from '../../src/sim/scenario.ts';
import { Simulation } from '../../src/sim/simulation.ts';
import type { RunResult } from '../../src/sim/summary.ts';

export interface Row {
  readonly what: string;
  readonly measured: string;
  readonly target: string;
  readonly verdict: 'met' | 'missed' | 'beside';
}

export function judged(what: string, measured: string, { target, isMet }: { target: string; isMet: boolean }): Row {
  return { what, measured, target, verdict: isMet ? 'met' : 'missed' };
}

export function beside(what: string, measured: string): Row {
  return { what, measured, target: '', verdict: 'beside' };
}

export function renderRows(rows: readonly Row[]): string {
  const marks = { met: 'met', missed: 'MISSED', beside: '' };
  return renderTable(
    ['', 'MEASURED', 'TARGET', ''],
    rows.map(({ what, measured, target, verdict }) => [what, measured, target, marks[verdict]]),
  );
}

export async function run(scenario: Scenario, policy: PolicyFactory): Promise<RunResult> {
  const simulation = new Simulation(scenario, policy);
  while (simulation.advance(1_000_000));
  return simulation.result();
}

export function figures({ within, awakeHours }: RunResult): string {
  return `${(within * 100).toFixed(2)} %, ${awakeHours.toFixed(2)} h`;
}
