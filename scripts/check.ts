// Runs every static check of the repository, two at a time, and prints one line per check. What a check printed is shown
// only when it failed. Must never change a file: `npm run format` does that.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

interface Step {
  name: string;
  /** The program below node_modules, and its arguments. */
  args: readonly string[];
  /** Says what is wrong with output that came with exit code 0; undefined when nothing is. */
  distrust?: (output: string) => string | undefined;
}

interface Outcome {
  step: Step;
  passed: boolean;
  output: string;
  seconds: number;
}

const repository = fileURLToPath(new URL('..', import.meta.url));
const parallelMax = 2;

/** Longest first, so that two at a time end together. */
const steps: readonly Step[] = [
  {
    name: 'lint, with types',
    args: ['node_modules/eslint/bin/eslint.js', '--max-warnings=0', 'src', 'scripts', 'test'],
  },
  {
    name: 'types',
    args: [
      'node_modules/typescript/bin/tsc',
      '-p',
      '.',
      '--incremental',
      '--tsBuildInfoFile',
      '.cache/types.tsbuildinfo',
    ],
  },
  { name: 'unused code', args: ['node_modules/knip/bin/knip.js', '--no-progress'] },
  {
    name: 'import boundaries',
    args: ['node_modules/dependency-cruiser/bin/dependency-cruise.mjs', 'src', '--config', '.dependency-cruiser.cjs'],
    distrust: distrustBoundaries,
  },
  {
    name: 'format and lint',
    args: [
      'node_modules/@biomejs/biome/bin/biome',
      'ci',
      '--error-on-warnings',
      '--colors=off',
      '--max-diagnostics=50',
    ],
  },
  ...generatedFiles(),
];

function generatedFiles(): Step[] {
  const script = 'scripts/generate.ts';
  return existsSync(`${repository}/${script}`) ? [{ name: 'generated files', args: [script, '--check'] }] : [];
}

/** A cruiser that cannot read the installed TypeScript reports success over no modules. */
function distrustBoundaries(output: string): string | undefined {
  const modules = Number(/\((\d+) modules/.exec(output)?.[1] ?? 0);
  return modules > 0 ? undefined : 'dependency-cruiser looked at no modules: does it support the installed TypeScript?';
}

function seconds(sinceMs: number): number {
  return (performance.now() - sinceMs) / 1000;
}

function run(step: Step): Promise<Outcome> {
  const startMs = performance.now();
  const child = spawn(process.execPath, step.args, {
    cwd: repository,
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return new Promise((resolve) => {
    child.on('error', (error) => resolve({ step, passed: false, output: error.message, seconds: seconds(startMs) }));
    child.on('close', (code) => {
      const doubt = code === 0 ? step.distrust?.(output) : undefined;
      const passed = code === 0 && doubt === undefined;
      resolve({
        step,
        passed,
        output: doubt === undefined ? output : `${output}\n${doubt}`,
        seconds: seconds(startMs),
      });
    });
  });
}

function report({ step, passed, output, seconds: took }: Outcome): void {
  console.log(`${passed ? 'ok    ' : 'FAILED'} ${step.name.padEnd(20)} ${took.toFixed(1)} s`);
  if (!passed) console.log(`${output.trim().replaceAll(/^/gm, '    ')}\n`);
}

/** Takes steps off the shared list until none is left. Returns how many failed. */
async function work(queue: Step[]): Promise<number> {
  let failed = 0;
  for (let step = queue.shift(); step !== undefined; step = queue.shift()) {
    const outcome = await run(step);
    report(outcome);
    if (!outcome.passed) failed += 1;
  }
  return failed;
}

const startMs = performance.now();
const queue = [...steps];
const failures = await Promise.all(Array.from({ length: parallelMax }, () => work(queue)));
const failed = failures.reduce((sum, count) => sum + count, 0);
console.log(`${steps.length - failed} of ${steps.length} checks passed in ${seconds(startMs).toFixed(1)} s`);
process.exitCode = failed === 0 ? 0 : 1;
