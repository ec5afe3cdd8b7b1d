// `stoker simulate` as a person types it: a table, JSON for programs, a page in a file, and sentences for what is wrong.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Command } from 'commander';
import { addCommands } from '../../../src/cli/commands.ts';
import { type Printed, terminal } from '../../support/terminal.ts';

const folder = mkdtempSync(join(tmpdir(), 'stoker-simulate-'));
after(() => rmSync(folder, { recursive: true, force: true }));

async function simulate(...args: readonly string[]): Promise<Printed> {
  const { io, printed } = terminal();
  const program = new Command('stoker').exitOverride();
  addCommands(program, () => io);
  await program.parseAsync(['simulate', ...args], { from: 'user' });
  return printed;
}

function trace(text: string): string {
  const path = join(folder, 'trace.csv');
  writeFileSync(path, text);
  return path;
}

const small = 'timestamp,prompt,output\n0,100,10\n1,200,10\n90,100,10\n';

test('a table has a row for each policy, in the order they were named', async () => {
  const { out, err } = await simulate('--trace', trace(small), '--policy', 'stoker,kpa,static');
  const lines = out.split('\n');
  assert.match(lines[0] ?? '', /^POLICY +WITHIN +P50/);
  assert.deepEqual(
    lines.slice(1, 4).map((line) => line.split(/ {2,}/)[0]),
    ['stoker', 'kpa-7', 'static (1)'],
  );
  assert.equal(err, '');
});

test('--json prints one document and nothing else, and the same each time', async () => {
  const args = [
    '--load',
    'zipf',
    '--models',
    '3',
    '--hours',
    '0.2',
    '--json',
    '--policy',
    'stoker,hpa-3',
    '--seed',
    '9',
  ];
  const { out } = await simulate(...args);
  const document = JSON.parse(out) as {
    trace: string;
    results: { policy: string; requests: number; within: number }[];
  };
  assert.equal(document.trace, 'zipf seed 9');
  assert.deepEqual(
    document.results.map(({ policy }) => policy),
    ['stoker', 'hpa-3'],
  );
  assert.ok(document.results.every(({ requests, within }) => requests > 100 && within > 0 && within <= 1));
  assert.equal((await simulate(...args)).out, out);
});

test('--html writes the page', async () => {
  const path = join(folder, 'page.html');
  await simulate('--trace', trace(small), '--policy', 'stoker', '--html', path);
  assert.ok(existsSync(path));
  assert.match(readFileSync(path, 'utf8'), /^<!doctype html>.*Simulation of trace\.csv/s);
});

test('--faults breaks the same things for every policy, and each row is told what happened', async () => {
  const faults = 'wakeFails=0.3,nodeLoss=20/h,nodeReturnSeconds=30,provisionFails=0.5,silences=10/h';
  const args = ['--load', 'spikes', '--hours', '0.5', '--rate', '1', '--policy', 'stoker,kpa', '--faults', faults];
  const { out } = await simulate(...args);
  const told = out.split('\n').filter((line) => / wakes? failed/.test(line));
  assert.deepEqual(
    told.map((line) => line.split(':')[0]),
    ['stoker', 'kpa-7'],
  );
  const lost = told.map((line) => /([0-9]+) nodes? lost \(([0-9]+) failed/.exec(line)?.slice(1).map(Number));
  assert.deepEqual(lost[0], lost[1]);
  assert.ok((lost[0]?.[0] ?? 0) > 0 && (lost[0]?.[1] ?? 0) > 0);
  assert.match(told[0] ?? '', /^stoker: [1-9][0-9]* wakes? failed/);
  assert.doesNotMatch((await simulate(...args.slice(0, -2))).out, /wakes? failed/);
});

const wrong: readonly [string, () => readonly string[], RegExp][] = [
  [
    'a bad line',
    () => ['--trace', trace('timestamp,prompt,output\n3,1,1\n2,1,1\n')],
    /trace\.csv:3: the time is 1000 ms/,
  ],
  ['a file that is not there', () => ['--trace', join(folder, 'none.csv')], /none\.csv cannot be read/],
  ['neither a trace nor a load', () => [], /either a trace .* or a generated load/],
  ['both', () => ['--trace', trace(small), '--load', 'step'], /either a trace/],
  ['a policy that is not there', () => ['--trace', trace(small), '--policy', 'best'], /no policy named best/],
  [
    'limits that contradict',
    () => ['--trace', trace(small), '--min-awake', '9', '--slots', '4'],
    /least awake \(9\) is above/,
  ],
  [
    'an objective below every prompt',
    () => ['--trace', trace(small), '--first-token', '0.03'],
    /The objective is impossible\. 100\.00 % .* within 30 ms.*200 tokens/,
  ],
  [
    'a fault that is not there',
    () => ['--trace', trace(small), '--faults', 'wakesFail=1'],
    /no fault named "wakesFail"\. There are wakeFails, leakMiB, silences,/,
  ],
  ['a page that cannot be written', () => ['--trace', trace(small), '--html', folder], /cannot be written/],
];

for (const [what, args, sentence] of wrong) {
  test(`ends with a sentence and exit code 1: ${what}`, async () => {
    const { out, err, exitCode } = await simulate(...args());
    assert.equal(out, '');
    assert.match(err, sentence);
    assert.equal(exitCode, 1);
  });
}

test('a part of the requests that no fleet serves in time is told, and the rest is simulated', async () => {
  const path = trace('timestamp,prompt,output\n0,90000,10\n1,200,10\n2,200,1\n');
  const { out, err } = await simulate('--trace', path, '--policy', 'stoker');
  assert.match(err, /^33\.33 % of the requests cannot have their first token within 5\.0 s.*90000 tokens/);
  assert.match(out, /^POLICY/);
});
