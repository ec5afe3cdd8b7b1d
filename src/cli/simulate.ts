// `stoker simulate`: policies on a trace or a generated load, as a table, as JSON and as a page with plots. Reads the files and
// shows progress; everything else is the simulator's. Needs no Stoker that runs.
import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { systemClock } from '../lib/clock.ts';
import { parseFaults } from '../sim/faults.ts';
import { findStaticFleet, withSlots } from '../sim/hindsight.ts';
import { generateLoad, type LoadName } from '../sim/load/generate.ts';
import { type PolicyChoice, parsePolicies } from '../sim/policy/catalogue.ts';
import type { PolicyFactory } from '../sim/policy/policy.ts';
import { staticFleet } from '../sim/policy/static.ts';
import { failureNotes, figureDocument, figureHeader, figureNotes, figureRow } from '../sim/report/figures.ts';
import { renderReport } from '../sim/report/html.ts';
import type { Trace } from '../sim/request.ts';
import type { Scenario } from '../sim/scenario.ts';
import { createScenario, judgeFeasibility, type SetupOptions } from '../sim/setup.ts';
import { SetupError } from '../sim/setup-error.ts';
import { Simulation } from '../sim/simulation.ts';
import type { RunResult } from '../sim/summary.ts';
import { multiplyTrace, parseTrace } from '../sim/trace/parse-trace.ts';
import { TraceError } from '../sim/trace/trace-error.ts';
import { CommandError, type CommandIo, type OutputFormat, writeJson } from './io.ts';
import { renderTable } from './table.ts';

export interface SimulateOptions extends Omit<SetupOptions, 'faults' | 'faultRates'> {
  readonly trace?: string;
  readonly load?: LoadName;
  readonly ratePerSecond: number;
  /** For the load zipf. */
  readonly models?: number;
  readonly hours: number;
  /** Every request of the trace so many times. */
  readonly times: number;
  readonly policies: string;
  /** Share of the requests that the static fleet has to serve in time. */
  readonly goal?: number;
  /** As src/sim/faults.ts reads it. */
  readonly faults?: string;
  readonly html?: string;
  readonly output: OutputFormat;
}

/** A run holds all of its requests in memory, a few hundred bytes each. */
const REQUESTS_MAX = 5_000_000;
const GOAL = 0.99;
/** A trace is read into memory whole. */
const TRACE_BYTES_MAX = 512 * 1024 * 1024;

export async function simulate(io: CommandIo, options: SimulateOptions): Promise<void> {
  const { scenario, choices } = refusing(() => {
    const choices = readPolicies(options);
    const scenario = readScenario(options);
    checkFixedFleets(choices, scenario);
    return { scenario, choices };
  });
  const { within, sentence } = judgeFeasibility(scenario);
  if (within === 0) throw new CommandError(`The objective is impossible. ${sentence}`);
  const notes = sentence === undefined ? [] : [sentence];
  const results: RunResult[] = [];
  for (const choice of choices) {
    const result = await runChoice(io, scenario, { choice, goal: options.goal ?? GOAL });
    // Nothing that is printed is about a single request, and what is noted of them all takes as much memory as a run.
    results.push({ ...result, finished: [] });
  }
  if (options.html !== undefined) writePage(options.html, renderReport({ scenario, results, notes }));
  if (options.output === 'json') {
    writeJson(io, { trace: scenario.trace.name, notes, results: results.map(figureDocument) });
    return;
  }
  for (const note of notes) io.complain(`${note}\n`);
  const lines = [...figureNotes, ...failureNotes(results, scenario.faults)];
  io.write(`${renderTable(figureHeader, results.map(figureRow))}\n${lines.join('\n')}\n`);
}

function readScenario({ faults, ...options }: SimulateOptions): Scenario {
  const rates = faults === undefined ? {} : { faultRates: parseFaults(faults) };
  return createScenario(loadTrace(options), { ...options, ...rates });
}

/** Options that are about one policy, and nothing without it. */
function readPolicies({ policies, goal, headroom, sleepAfterMs }: SimulateOptions): PolicyChoice[] {
  const choices = parsePolicies(policies);
  const rows = [
    ['--goal', goal, 'static'],
    ['--headroom', headroom, 'stoker'],
    ['--sleep-after', sleepAfterMs, 'stoker'],
  ] as const;
  for (const [option, value, policy] of rows) {
    if (value !== undefined && !choices.some(({ name }) => name === policy))
      throw new SetupError(
        `${option} is about the policy ${policy}, which --policy does not name. Leave ${option} out.`,
      );
  }
  return choices;
}

/** A fleet of fixed size has so many of each model. */
function checkFixedFleets(choices: readonly PolicyChoice[], { models, fleet: { slots } }: Scenario): void {
  for (const { name } of choices) {
    const each = Number(/^static-(\d+)$/.exec(name)?.[1] ?? 0);
    if (each * models.length <= slots) continue;
    const sum = models.length === 1 ? `${each}` : `${each} × ${models.length} models = ${each * models.length}`;
    throw new SetupError(`The policy ${name} needs ${sum} slots, and there are ${slots}.`);
  }
}

/** What a person can put right is one sentence. */
function refusing<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof TraceError || error instanceof SetupError) throw new CommandError(error.message);
    throw error;
  }
}

function loadTrace({ trace, load, times, seed, ratePerSecond, models, hours }: SimulateOptions): Trace {
  if ((trace === undefined) === (load === undefined))
    throw new SetupError('Give either a trace (--trace FILE) or a generated load (--load NAME).');
  if (load !== undefined) {
    if (models !== undefined && load !== 'zipf')
      throw new SetupError(`The load ${load} is of one model. Leave --models out, or take --load zipf.`);
    const expected = ratePerSecond * hours * 3600;
    checkRequests(expected * times, `${ratePerSecond} a second for ${hours} hours${renderTimes(times)}`);
  }
  const read =
    load === undefined
      ? readTrace(trace ?? '')
      : generateLoad(load, {
          seed,
          ratePerSecond,
          spanMs: hours * 3_600_000,
          ...(models === undefined ? {} : { models }),
        });
  checkRequests(read.requests.length * times, `${read.requests.length} in the trace${renderTimes(times)}`);
  return times === 1 ? read : multiplyTrace(read, times);
}

function renderTimes(times: number): string {
  return times === 1 ? '' : ` × ${times}`;
}

function checkRequests(count: number, sum: string): void {
  if (count <= REQUESTS_MAX) return;
  throw new SetupError(
    `A run may have ${REQUESTS_MAX} requests, and this would be ${Math.round(count)} (${sum}). Take a shorter time or a lower rate.`,
  );
}

function readTrace(path: string): Trace {
  let text: string;
  try {
    const bytes = readFileSync(path);
    if (bytes.length > TRACE_BYTES_MAX) throw new Error(`it has more than ${TRACE_BYTES_MAX} bytes`);
    text = bytes.toString('utf8');
  } catch (error) {
    throw new CommandError(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  return parseTrace(basename(path), text);
}

function writePage(path: string, page: string): void {
  try {
    writeFileSync(path, page);
  } catch (error) {
    throw new CommandError(`${path} cannot be written: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function runChoice(
  io: CommandIo,
  scenario: Scenario,
  { choice, goal }: { choice: PolicyChoice; goal: number },
): Promise<RunResult> {
  const run = (one: Scenario, policy: PolicyFactory) => runOne(io, { scenario: one, policy, label: choice.name });
  if (choice.factory !== undefined) return run(scenario, choice.factory);
  const counts = await findStaticFleet(scenario, goal, run);
  if (counts === undefined) {
    throw new CommandError(
      `No fleet of fixed size serves ${(goal * 100).toFixed(1)} % in time. Leave \`static\` out of --policy, or lower --goal.`,
    );
  }
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return run(withSlots(scenario, counts), staticFleet(`static (${total})`, counts));
}

/** Events between two looks at the clock. */
const EVENTS_PER_TURN = 20_000;
const BAR_AFTER_MS = 1000;
const BAR_EVERY_MS = 200;
const BAR_CELLS = 30;

async function runOne(
  io: CommandIo,
  { scenario, policy, label }: { scenario: Scenario; policy: PolicyFactory; label: string },
): Promise<RunResult> {
  const simulation = new Simulation(scenario, policy);
  const beganMs = systemClock.nowMs();
  let shownMs = beganMs + BAR_AFTER_MS - BAR_EVERY_MS;
  let isShown = false;
  while (simulation.advance(EVENTS_PER_TURN)) {
    // An interrupt is seen between two turns.
    await new Promise((resolve) => setImmediate(resolve));
    if (io.signal.aborted) throw new CommandError('The simulation was interrupted.');
    const nowMs = systemClock.nowMs();
    if (!io.isTerminal || nowMs - shownMs < BAR_EVERY_MS) continue;
    shownMs = nowMs;
    isShown = true;
    io.complain(`\r${renderBar(label, simulation.progress)}`);
  }
  if (isShown) io.complain('\r\u001b[K');
  return simulation.result();
}

function renderBar(label: string, progress: number): string {
  const filled = Math.round(progress * BAR_CELLS);
  return `${label.padEnd(14)} [${'#'.repeat(filled)}${'.'.repeat(BAR_CELLS - filled)}] ${Math.floor(progress * 100)} %`;
}
