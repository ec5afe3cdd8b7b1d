// Loads that no figure of the scaler was chosen on: five seeds of each generator, against the fixed fleet of hindsight.
// Whoever changes the scaler looks at the public traces, and at these only to judge.
import { findStaticFleet, withSlots } from '../../src/sim/hindsight.ts';
import { generateLoad, type LoadName, loadNames } from '../../src/sim/load/generate.ts';
import { staticFleet } from '../../src/sim/policy/static.ts';
import { stokerPolicy } from '../../src/sim/policy/stoker.ts';
import { createScenario } from '../../src/sim/setup.ts';
import type { RunResult } from '../../src/sim/summary.ts';
import { judged, type Row, run } from './scaling-rows.ts';

const seeds = [11, 12, 13, 14, 15];
const GOAL = 0.99;
const HOURS_RATIO_MAX = 1.1;

export async function runHeldOut(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const name of loadNames) {
    const pairs: { ours: RunResult; fixed: RunResult }[] = [];
    for (const seed of seeds) pairs.push(await compare(name, seed));
    const worst = Math.min(...pairs.map(({ ours }) => ours.within));
    const ratio = Math.max(...pairs.map(({ ours, fixed }) => ours.awakeHours / fixed.awakeHours));
    rows.push(
      judged(
        `${name}, ${seeds.length} seeds`,
        `worst ${(worst * 100).toFixed(2)} %, at most ${ratio.toFixed(2)} × the fixed fleet`,
        { target: `≥ ${GOAL * 100} %, ≤ ${HOURS_RATIO_MAX} ×`, isMet: worst >= GOAL && ratio <= HOURS_RATIO_MAX },
      ),
    );
  }
  return rows;
}

async function compare(name: LoadName, seed: number): Promise<{ ours: RunResult; fixed: RunResult }> {
  const scenario = createScenario(generateLoad(name, { seed }), {
    profile: 'Size70B',
    firstTokenMsMax: 5000,
    minAwake: 0,
    slots: 40,
    slotsPerNode: 1,
    sleepersPerSlotMax: 4,
    isCold: false,
    isOccupied: false,
    sigma: 0,
    seed,
  });
  const counts = await findStaticFleet(scenario, GOAL, run);
  if (counts === undefined) throw new Error(`no fixed fleet serves ${name}`);
  return {
    ours: await run(scenario, stokerPolicy()),
    fixed: await run(withSlots(scenario, counts), staticFleet('static', counts)),
  };
}
