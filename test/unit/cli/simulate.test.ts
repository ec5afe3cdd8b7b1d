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

test('--sleep-after is the time that a model stays awake without requests', async () => {
  const path = trace('timestamp,prompt,output\n0,100,10\n20,100,10\n400,100,10\n');
  const run = async (...args: readonly string[]) => {
    const { out } = await simulate('--trace', path, '--policy', 'stoker', '--slots', '2', '--json', ...args);
    const { results } = JSON.parse(out) as {
      results: readonly { awakeHours: number; metBy: { Awake: number; Asleep: number } }[];
    };
    return results[0]!;
  };
  const short = await run('--sleep-after', '5');
  const unsaid = await run();
  const long = await run('--sleep-after', '500');
  assert.deepEqual(
    [short, unsaid, long].map(({ metBy }) => [metBy.Awake, metBy.Asleep]),
    [
      [0, 3],
      [1, 2],
      [2, 1],
    ],
  );
  assert.ok(short.awakeHours < unsaid.awakeHours && unsaid.awakeHours < long.awakeHours);
});

/** A policy's requests by what they found, of twelve models on four slots. */
async function metBy(...args: readonly string[]) {
  const load = ['--load', 'zipf', '--models', '12', '--slots', '4', '--rate', '1', '--hours', '0.1'];
  const { out } = await simulate(...load, '--profile', 'Size7B', '--policy', 'stoker', '--json', ...args);
  const { results } = JSON.parse(out) as { results: { metBy: { Awake: number; Asleep: number; Staged: number } }[] };
  return results[0]!.metBy;
}

test('--sleeper-bytes bounds the memory of the sleepers of a slot: fewer bytes, more starts', async () => {
  const starts: number[] = [];
  // Room for 1, 2 and 8 instances of 24.6 GB, with the one that is awake.
  for (const bytes of ['25000000000', '50000000000', '200000000000'])
    starts.push((await metBy('--sleeper-bytes', bytes)).Staged);
  assert.ok(starts[0]! > starts[1]! && starts[1]! > starts[2]! && starts[2] === 0, starts.join());
});

test('--sleeper-bytes for one: of two models that take turns in a slot, the other one is always started', async () => {
  const turns = Array.from({ length: 10 }, (_, turn) => `${turn * 300},100,10,${turn % 2 === 0 ? 'a' : 'b'}`);
  const path = trace(`timestamp,prompt,output,model\n${turns.join('\n')}\n`);
  for (const policy of ['stoker', 'lru-sleepers-10']) {
    const run = async (...args: readonly string[]) => {
      const { out } = await simulate('--trace', path, '--policy', policy, '--slots', '1', '--json', ...args);
      return (JSON.parse(out) as { results: { starts: number; wakes: number }[] }).results[0]!;
    };
    const one = await run('--sleeper-bytes', '150000000000');
    const two = await run('--sleeper-bytes', '300000000000');
    assert.ok(one.starts >= 9, `${policy}: ${one.starts} starts`);
    assert.deepEqual([two.starts, two.wakes], [0, 10], policy);
  }
});

test('--sleeper-bytes that hold everything change nothing', async () => {
  assert.deepEqual(await metBy('--sleeper-bytes', '99000000000000'), await metBy());
  const occupied = await metBy('--sleeper-bytes', '99000000000000', '--occupied');
  assert.deepEqual(occupied, await metBy('--occupied'));
});

test('--sleeper-bytes: models take turns in what is asleep at first, and idle models count', async () => {
  const path = trace('timestamp,prompt,output,model\n0,100,10,a\n0,100,10,b\n');
  const run = async (...args: readonly string[]) => {
    // Of what this policy says nothing is more likely than other things, so what is trimmed would be the same everywhere.
    const { out } = await simulate('--trace', path, '--policy', 'lru-sleepers', '--slots', '2', '--json', ...args);
    return (JSON.parse(out) as { results: { metBy: { Asleep: number } }[] }).results[0]!.metBy.Asleep;
  };
  // 148.6 GB each.
  assert.equal(await run('--sleeper-bytes', '150000000000'), 2);
  assert.equal(await run('--sleeper-bytes', '300000000000', '--occupied'), 2);
});

test('two targets of one policy are two rows that can be told apart', async () => {
  const { out } = await simulate('--trace', trace(small), '--policy', 'lru-sleepers,lru-sleepers-60');
  assert.match(out, /\nlru-sleepers-300 .*\nlru-sleepers-60 /);
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
  [
    'more requests than fit',
    () => ['--load', 'step', '--hours', '1000000'],
    /5000000 requests, and this would be 14400/,
  ],
  [
    'a trace times too much',
    () => ['--trace', trace(small), '--times', '5000000'],
    /15000000 \(3 in the trace × 5000000\)/,
  ],
  ['more models than fit', () => ['--load', 'zipf', '--models', '1000000000'], /1000000000 models are above the most/],
  [
    'more sleepers than a Pool allows',
    () => ['--load', 'step', '--sleepers-per-slot', '65'],
    /65 sleepers in a slot are above the most that a Pool allows \(64\)/,
  ],
  [
    'more silences than fit',
    () => ['--load', 'step', '--rate', '0.01', '--hours', '10000', '--faults', 'silences=1000/h'],
    /silences in --faults: 1000 an hour × \d+\.\d h = \d{7}, and a run has 10000 at most/,
  ],
  [
    'more lost nodes than fit',
    () => ['--load', 'step', '--rate', '0.01', '--hours', '10000', '--faults', 'nodeLoss=2/h'],
    /nodeLoss in --faults: 2 an hour/,
  ],
  ['a load without a request', () => ['--load', 'step', '--rate', '0.000001'], /No request comes in this load step/],
  ['more slots than there are', () => ['--load', 'step', '--slots', '20000'], /20000 slots are above the most/],
  ['models of a load of one', () => ['--load', 'step', '--models', '3'], /is of one model/],
  ['a policy twice', () => ['--load', 'step', '--policy', 'stoker,stoker'], /The policy stoker is named twice/],
  [
    'a fixed fleet that does not fit',
    () => ['--load', 'step', '--slots', '3', '--policy', 'static-100'],
    /static-100 needs 100 slots, and there are 3/,
  ],
  [
    'a fixed fleet that does not fit for all models',
    () => ['--load', 'zipf', '--models', '4', '--slots', '7', '--policy', 'static-2'],
    /static-2 needs 2 × 4 models = 8 slots, and there are 7/,
  ],
  [
    'a policy with its usual number beside it',
    () => ['--load', 'step', '--policy', 'kpa,kpa-7'],
    /kpa and kpa-7 are the same policy/,
  ],
  [
    'a goal without the fleet that has one',
    () => ['--load', 'step', '--policy', 'kpa', '--goal', '95'],
    /--goal is about the policy static, which --policy does not name/,
  ],
  [
    'memory for no sleeper',
    () => ['--load', 'step', '--sleeper-bytes', '1000000000'],
    /1000000000 bytes are too few for a sleeper: one holds 148589934592/,
  ],
  [
    'memory for the idle model alone',
    () => ['--load', 'step', '--occupied', '--sleeper-bytes', '150000000000'],
    /too few for a sleeper: one and the idle model hold 297179869184/,
  ],
  [
    'memory for sleepers where none may sleep',
    () => ['--load', 'step', '--sleepers-per-slot', '0', '--sleeper-bytes', '150000000000'],
    /The memory of sleepers says nothing where none may sleep/,
  ],
  [
    'a time to sleep for others',
    () => ['--load', 'step', '--policy', 'lru-sleepers', '--sleep-after', '60'],
    /--sleep-after is about the policy stoker/,
  ],
  [
    'headroom for others',
    () => ['--load', 'step', '--policy', 'kpa,static', '--headroom', 'strict'],
    /--headroom is about the policy stoker/,
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
