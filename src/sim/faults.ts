// What goes wrong in a simulated fleet: from what a person asks for (`wakeFails=0.005,nodeLoss=1/h`) to rates, and from rates and a
// seed to the times and nodes of one run. The same seed breaks the same things, whatever the policy. Pure.
import type { Rng } from '../lib/rng.ts';
import { rngFor } from './load/arrivals.ts';
import { checkFaultCount } from './run-bounds.ts';
import { type Faults, type LostNode, noFaults } from './scenario.ts';
import { SetupError } from './setup-error.ts';

/** As people name them. Times are in the unit that the name ends with; `/h` stands for a number an hour. */
export interface FaultRates {
  readonly wakeFails: number;
  readonly leakMiB: number;
  readonly silences: number;
  readonly silenceSeconds: number;
  readonly nodeLoss: number;
  readonly nodeReturnSeconds: number;
  readonly provisionFails: number;
  readonly notAllocatable: number;
  readonly allocatableSeconds: number;
}

interface Entry {
  readonly about: string;
  readonly fallback: number;
  readonly max: number;
  readonly isPerHour?: boolean;
  /** It says how another one happens, and nothing without it. */
  readonly of?: keyof FaultRates;
}

export const faultCatalogue: Readonly<Record<keyof FaultRates, Entry>> = {
  wakeFails: { about: 'share of wakes that end the process', fallback: 0, max: 1 },
  leakMiB: { about: 'memory that an engine keeps more after each sleep', fallback: 0, max: 1_000_000 },
  silences: { about: 'times that routers fall silent', fallback: 0, max: 1000, isPerHour: true },
  silenceSeconds: { about: 'length of a silence', fallback: 60, max: 86_400, of: 'silences' },
  nodeLoss: { about: 'nodes that are lost', fallback: 0, max: 1000, isPerHour: true },
  nodeReturnSeconds: { about: 'time until another node is there', fallback: 240, max: 604_800, of: 'nodeLoss' },
  provisionFails: { about: 'share of attempts to get another node that fail', fallback: 0, max: 0.95, of: 'nodeLoss' },
  notAllocatable: { about: 'share of new nodes with accelerators that come late', fallback: 0, max: 1, of: 'nodeLoss' },
  allocatableSeconds: { about: 'how late they come', fallback: 900, max: 86_400, of: 'notAllocatable' },
};

const names = Object.keys(faultCatalogue) as (keyof FaultRates)[];

/** One line for each, for the help of the command. */
export function describeFaults(): string {
  return names
    .map((name) => {
      const { about, fallback, isPerHour } = faultCatalogue[name];
      const shown = isPerHour === true ? `${name}=N/h` : `${name}=N`;
      return `  ${shown.padEnd(22)} ${about}${fallback === 0 ? '' : ` (default: ${fallback})`}`;
    })
    .join('\n');
}

export function parseFaults(text: string): FaultRates {
  const given = new Map<keyof FaultRates, number>();
  for (const part of text.split(',')) {
    const [name, value] = parsePart(part.trim());
    if (given.has(name)) throw new SetupError(`${name} is given twice in --faults.`);
    given.set(name, value);
  }
  for (const name of given.keys()) {
    const { of } = faultCatalogue[name];
    if (of !== undefined && (given.get(of) ?? 0) === 0)
      throw new SetupError(`${name} says nothing without ${of}: give ${of} in --faults, too.`);
  }
  const entries = names.map((name) => [name, given.get(name) ?? faultCatalogue[name].fallback] as const);
  return Object.fromEntries(entries) as Record<keyof FaultRates, number>;
}

function parsePart(part: string): [keyof FaultRates, number] {
  const [, written = part, number = '', perHour] = /^([^=]*)=([0-9]+(?:\.[0-9]+)?)(\/h)?$/.exec(part) ?? [];
  const name = names.find((one) => one === written.split('=')[0]);
  if (name === undefined) {
    throw new SetupError(`There is no fault named "${written.split('=')[0]}". There are ${names.join(', ')}.`);
  }
  const { max, isPerHour = false } = faultCatalogue[name];
  const form = isPerHour ? `${name}=2/h` : `${name}=${max > 1 ? 30 : 0.05}`;
  if (number === '' || (perHour !== undefined) !== isPerHour)
    throw new SetupError(`"${part}" in --faults has to look like ${form}.`);
  const value = Number(number);
  if (value > max) throw new SetupError(`${name}: ${number} is too much, ${max} is the most.`);
  return [name, value];
}

const HOUR_MS = 3_600_000;
/** A stream of chance of its own: what breaks does not move when the fleet draws one more number. */
const STREAM = 9000;

export interface FaultSpan {
  readonly spanMs: number;
  readonly nodes: number;
  readonly seed: number;
}

export function drawFaults(rates: FaultRates, { spanMs, nodes, seed }: FaultSpan): Faults {
  for (const name of ['silences', 'nodeLoss'] as const) checkFaultCount(name, rates[name], spanMs);
  const lengthMs = rates.silenceSeconds * 1000;
  const silences = drawTimes(rates.silences, spanMs, rngFor(seed, STREAM));
  const rng = rngFor(seed, STREAM + 1);
  const losses = drawTimes(rates.nodeLoss, spanMs, rngFor(seed, STREAM + 2));
  const lostNodes: LostNode[] = [];
  const backMs = new Map<number, number>();
  for (const atMs of losses) {
    const standing = Array.from({ length: nodes }, (_, node) => node).filter((node) => (backMs.get(node) ?? 0) <= atMs);
    const node = standing[rng.below(Math.max(1, standing.length))];
    if (node === undefined) continue;
    const lost = { atMs, node, ...drawReturn(rates, atMs, rng) };
    backMs.set(node, lost.backMs);
    lostNodes.push(lost);
  }
  return {
    ...noFaults,
    failedWakes: rates.wakeFails,
    leakMiB: rates.leakMiB,
    silences: silences.map((fromMs) => ({ fromMs, toMs: fromMs + lengthMs })),
    lostNodes,
  };
}

/** Each attempt takes the whole time, the failed ones, too. */
function drawReturn(rates: FaultRates, atMs: number, rng: Rng) {
  let failedProvisions = 0;
  while (rng.next() < rates.provisionFails) failedProvisions += 1;
  const isAllocatableLate = rng.next() < rates.notAllocatable;
  const seconds = (failedProvisions + 1) * rates.nodeReturnSeconds + (isAllocatableLate ? rates.allocatableSeconds : 0);
  return { backMs: atMs + seconds * 1000, failedProvisions, isAllocatableLate };
}

/** Times without memory, so many an hour on average. */
function drawTimes(perHour: number, spanMs: number, rng: Rng): number[] {
  const times: number[] = [];
  if (perHour === 0) return times;
  for (let atMs = 0; ; ) {
    atMs += (-Math.log(1 - rng.next()) * HOUR_MS) / perHour;
    if (atMs >= spanMs) return times;
    times.push(atMs);
  }
}
