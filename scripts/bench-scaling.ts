// `npm run bench:scaling`: the targets of the scaler and the pool, measured from this code, one row each. Fails when a row is
// missed. Everything is simulated and seeded, so every machine prints the same figures but for the speed of the simulator.

import { runBehaviour } from './bench/scaling-behaviour.ts';
import { runHeldOut } from './bench/scaling-held-out.ts';
import { runManyModels } from './bench/scaling-many-models.ts';
import { type Row, renderRows } from './bench/scaling-rows.ts';
import { runTraces } from './bench/scaling-traces.ts';
import { runWeeks } from './bench/scaling-weeks.ts';

const parts: readonly [string, () => Promise<Row[]>][] = [
  ['Public traces (T1, T2, T3)', runTraces],
  ['Generated loads that nothing was tuned on', runHeldOut],
  ['Behaviour (T6, T11, T12, speed)', runBehaviour],
  ['A hundred models (T8, T10)', runManyModels],
  ['Two weeks, generated in the shape of published services (T4, T5)', runWeeks],
];

let missed = 0;
for (const [title, run] of parts) {
  const rows = await run();
  missed += rows.filter(({ verdict }) => verdict === 'missed').length;
  process.stdout.write(`\n${title}\n${renderRows(rows)}`);
}
process.stdout.write(missed === 0 ? '\nAll targets are met.\n' : `\nTargets that are missed: ${missed}.\n`);
process.exitCode = missed === 0 ? 0 : 1;
