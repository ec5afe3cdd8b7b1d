// `npm run chaos`: a fleet of simulated models under random load, with every fault they know and kill -9 of any part, for ten
// minutes or as long as asked. Every request must have exactly one outcome and every answer must be true; nothing may leak.
// The seed is printed; `--seed` plans the same run again.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemRng } from '../src/lib/rng.ts';
import { CALLERS, MODELS, SLOTS } from '../test/chaos/plan.ts';
import { type ChaosReport, type Progress, runChaos } from '../test/chaos/run.ts';

const SECONDS_DEFAULT = 600;
const BAR_WIDTH = 24;
/** Where nobody watches a bar move, a line is printed this often. */
const LINE_EVERY_MS = 10_000;
const WRONGS_SHOWN_MAX = 30;

async function main(): Promise<void> {
  const { seed, seconds } = readArguments();
  const dataDir = mkdtempSync(join(tmpdir(), 'stoker-chaos-'));
  say(`chaos for ${seconds} s: ${CALLERS} callers, ${MODELS} models, ${SLOTS} slots, every fault, kill -9 of any part`);
  say(`seed ${seed}   (the same plan again: npm run chaos -- --seconds ${seconds} --seed ${seed})\n`);
  const onProgress = createBar(seconds * 1000);
  const report = await runChaos({ seed, durationMs: seconds * 1000, dataDir, onProgress });
  printReport(report);
  if (report.wrongs.length === 0) {
    rmSync(dataDir, { recursive: true, force: true });
    say('\nchaos passed');
    return;
  }
  say(`\n${report.wrongs.length} things were wrong (logs in ${dataDir}, seed ${seed}):`);
  for (const wrong of report.wrongs.slice(0, WRONGS_SHOWN_MAX)) say(`- ${wrong}`);
  process.exitCode = 1;
}

function readArguments(): { seed: number; seconds: number } {
  const { values } = parseArgs({ options: { seconds: { type: 'string' }, seed: { type: 'string' } } });
  const seconds = Number(values.seconds ?? SECONDS_DEFAULT);
  const seed = Number(values.seed ?? systemRng.below(1_000_000));
  if (!Number.isInteger(seconds) || seconds < 10) throw new Error('--seconds must be a whole number from 10 on');
  if (!Number.isInteger(seed) || seed < 0) throw new Error('--seed must be a whole number from 0 on');
  return { seed, seconds };
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function createBar(durationMs: number): (progress: Progress) => void {
  const isWatched = process.stdout.isTTY;
  let printedMs = Number.NEGATIVE_INFINITY;
  return ({ phase, elapsedMs, calls, running, deaths }) => {
    if (!isWatched && phase === 'load' && elapsedMs - printedMs < LINE_EVERY_MS) return;
    printedMs = elapsedMs;
    const share = phase === 'load' ? Math.min(1, elapsedMs / durationMs) : 1;
    const bar = '='.repeat(Math.round(share * BAR_WIDTH)).padEnd(BAR_WIDTH);
    const figures =
      phase === 'load' ? `${calls.length} calls, ${running} running, ${deaths.length} kills` : 'every model once more';
    process.stdout.write(
      `${isWatched ? '\r' : ''}[${bar}] ${Math.round(elapsedMs / 1000)} s  ${figures}   ${isWatched ? '' : '\n'}`,
    );
  };
}

function printReport({ calls, lines, deaths, census, revivalMs, failures }: ChaosReport): void {
  const count = (names: readonly string[]) => {
    const counts = new Map<string, number>();
    for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
    return [...counts]
      .sort(([, a], [, b]) => b - a)
      .map(([name, number]) => `${name} ${number}`)
      .join(', ');
  };
  const own = [...lines].filter(([id]) => !id.startsWith('revive-')).flatMap(([, found]) => found);
  const firstMs = calls.flatMap(({ end }) =>
    end.firstContentMs === undefined ? [] : end.firstContentMs - end.startedMs,
  );
  say(`\n\ncalls               ${calls.length}`);
  say(`as callers saw it   ${count(calls.map(({ end }) => end.ending))}`);
  say(`as the router says  ${count(own.map(({ outcome }) => outcome))}`);
  say(`more than one try   ${own.filter(({ attempts }) => attempts > 1).length}`);
  say(`first content       p50 ${quantile(firstMs, 0.5)}, p99 ${quantile(firstMs, 0.99)}`);
  say(`killed              ${count(deaths.map(({ kind }) => kind))}`);
  say(`failed instances    ${count(failures)}`);
  say(`served again        slowest of ${revivalMs.length} models ${seconds(Math.max(...revivalMs))}`);
  say('\nPART        AT MOST  MEMORY   OPEN FILES');
  for (const [kind, { count: most, residentMiB, openFiles }] of census.peaks)
    say(`${kind.padEnd(12)}${String(most).padEnd(9)}${`${Math.round(residentMiB)} MiB`.padEnd(9)}${openFiles}`);
}

function quantile(values: readonly number[], share: number): string {
  const sorted = [...values].sort((a, b) => a - b);
  return seconds(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

await main();
