// The import table of .dependency-cruiser.cjs must bite. Each row of `planted` is a violation written into a throwaway
// tree that must be reported, and the real tree must have been read file by file: a cruiser that cannot read TypeScript
// reports success over nothing.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, glob, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

interface CruiseReport {
  modules: { source: string }[];
  summary: { violations: { from: string; to: string; rule: { name: string } }[] };
}

interface Planted {
  what: string;
  rule: string;
  /** The module that must be blamed. */
  from: string;
  files: Record<string, string>;
}

const repository = fileURLToPath(new URL('../../../', import.meta.url));
const run = promisify(execFile);

function imports(specifier: string): string {
  return `import * as it from '${specifier}';\nexport const used = it;\n`;
}

function crossing(from: string, to: string, rule = `${from}-imports`): Planted {
  const source = `src/${from}/from-${to}.ts`;
  return {
    what: `${from} importing ${to}`,
    rule,
    from: source,
    files: { [source]: imports(`../${to}/it.ts`), [`src/${to}/it.ts`]: 'export const it = 1;\n' },
  };
}

function importing(source: string, specifier: string, rule: string): Planted {
  return { what: `${source} importing ${specifier}`, rule, from: source, files: { [source]: imports(specifier) } };
}

const planted: Planted[] = [
  crossing('lib', 'api'),
  crossing('api', 'core'),
  crossing('core', 'router'),
  crossing('core', 'ports'),
  crossing('ports', 'core'),
  crossing('kube', 'local'),
  crossing('local', 'kube'),
  crossing('link', 'core'),
  crossing('engine', 'agent'),
  crossing('store', 'kube'),
  crossing('telemetry', 'ports'),
  crossing('agent', 'router'),
  crossing('controller', 'engine'),
  crossing('router', 'controller'),
  crossing('sim', 'ports'),
  crossing('cli', 'router'),
  crossing('console', 'lib'),
  crossing('router', 'misplaced', 'known-folders'),
  crossing('telemetry', 'api', 'telemetry-api-types-only'),
  importing('src/unlisted/a.ts', 'node:os', 'known-folders-only'),
  importing('src/core/plan/files.ts', 'node:fs', 'core-no-node-modules'),
  importing('src/core/route/timers.ts', 'node:timers/promises', 'core-no-node-modules'),
  importing('src/core/guard/schema.ts', 'zod', 'core-and-lib-no-packages'),
  importing('src/router/pods.ts', '@kubernetes/client-node', 'kubernetes-client-owner'),
  importing('src/engine/other/llama.ts', 'node-llama-cpp', 'node-llama-cpp-owner'),
  importing('src/controller/count.ts', 'prom-client', 'telemetry-clients-owner'),
  importing('src/router/log.ts', 'pino', 'telemetry-clients-owner'),
  importing('src/kube/lost.ts', './nowhere.ts', 'resolvable'),
  importing('src/kube/undeclared.ts', 'fast-check', 'declared-dependencies'),
  importing('src/main/outside.ts', '../../scripts/outside.ts', 'src-stands-alone'),
  {
    what: 'a type-only import across folders',
    rule: 'router-imports',
    from: 'src/router/type-only.ts',
    files: {
      'src/router/type-only.ts': "import type { Kind } from '../kube/kind.ts';\nexport const kind: Kind = 1;\n",
      'src/kube/kind.ts': 'export type Kind = number;\n',
    },
  },
  {
    what: 'a cycle',
    rule: 'no-circular',
    from: 'src/lib/here.ts',
    files: { 'src/lib/here.ts': imports('./there.ts'), 'src/lib/there.ts': imports('./here.ts') },
  },
];

const permitted: Record<string, string> = {
  'src/core/hash.ts': imports('node:crypto'),
  'src/kube/client.ts': imports('@kubernetes/client-node'),
  'src/engine/llama/binding.ts': imports('node-llama-cpp'),
  'src/telemetry/logging.ts': imports('pino'),
  'src/telemetry/labels.ts': "import type { Label } from '../api/label.ts';\nexport const label: Label = 'a';\n",
  'src/api/label.ts': "export type Label = 'a';\n",
  'src/router/http/server.ts': imports('../../link/session.ts'),
  'src/link/session.ts': imports('../ports/cluster-port.ts'),
  'src/ports/cluster-port.ts': imports('node:events'),
  'src/main/compose.ts': imports('../router/http/server.ts'),
};

/** Runs the cruiser over `src` below `root`. It exits with the number of errors, so a non-zero exit is not a failure here. */
async function cruise(root: string): Promise<CruiseReport> {
  const program = join(repository, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const args = [program, 'src', '--config', '.dependency-cruiser.cjs', '--output-type', 'json'];
  const { stdout } = await run(process.execPath, args, {
    cwd: root,
    maxBuffer: 256 * 1024 * 1024,
    timeout: 60_000,
  }).catch((error: unknown) => error as { stdout: string });
  assert.ok(stdout.startsWith('{'), `the cruiser printed no report in ${root}`);
  return JSON.parse(stdout) as CruiseReport;
}

async function plant(root: string, files: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
}

describe('import boundaries', () => {
  let root = '';
  let report: CruiseReport;

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'stoker-boundaries-'));
    for (const file of ['.dependency-cruiser.cjs', 'package.json', 'tsconfig.json']) {
      await cp(join(repository, file), join(root, file));
    }
    await symlink(join(repository, 'node_modules'), join(root, 'node_modules'));
    await plant(root, { 'scripts/outside.ts': 'export const it = 1;\n' });
    for (const { files } of planted) await plant(root, files);
    await plant(root, permitted);
    report = await cruise(root);
  });

  after(() => rm(root, { recursive: true, force: true }));

  for (const { what, rule, from } of planted) {
    test(`reports ${what} as ${rule}`, () => {
      const blamed = report.summary.violations.filter((violation) => violation.from === from);
      assert.ok(
        blamed.some((violation) => violation.rule.name === rule),
        `expected ${rule} for ${from}, got ${JSON.stringify(blamed.map((violation) => violation.rule.name))}`,
      );
    });
  }

  test('lets through what the table allows', () => {
    const blamed = report.summary.violations.filter((violation) => violation.from in permitted);
    assert.deepEqual(blamed, []);
  });

  test('reads every module of the real tree', async () => {
    const files: string[] = [];
    for await (const file of glob('src/**/*.ts', { cwd: repository })) files.push(file);
    const real = await cruise(repository);
    const seen = new Set(real.modules.map((module) => module.source));
    assert.ok(files.length > 0, 'src has no TypeScript files');
    assert.deepEqual(
      files.filter((file) => !seen.has(file)),
      [],
      'the cruiser did not read these files: does it support the installed TypeScript?',
    );
  });
});
