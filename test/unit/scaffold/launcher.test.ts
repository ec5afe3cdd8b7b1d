// bin/stoker.js in a throwaway package: which Node and which program it chooses, and that signals, exit codes and
// arguments pass through it. An old Node is this one with its version overwritten before the launcher loads.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const launcher = fileURLToPath(new URL('../../../bin/stoker.js', import.meta.url));

const program = `
  const said: string = JSON.stringify({ by: 'BY', node: process.versions.node, args: process.argv.slice(2) });
  process.on('SIGTERM', () => process.exit(7));
  process.on('SIGINT', () => process.exit(8));
  console.log(said);
  if (process.argv[2] === 'wait') setInterval(() => {}, 1000);
  if (process.argv[2] === 'leave') process.exitCode = 3;
  if (process.argv[2] === 'break') throw new Error('broken on purpose');
`;

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

function collect(child: ChildProcess): Promise<Ended> {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }));
}

describe('the launcher', () => {
  let root = '';

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'stoker-launcher-'));
    await writeFile(
      join(root, 'old.cjs'),
      "Object.defineProperty(process, 'versions', { value: { node: '18.0.0' } });\n",
    );
  });

  after(() => rm(root, { recursive: true, force: true }));

  async function makePackage(
    name: string,
    has: { source?: boolean; built?: boolean; pinned?: boolean },
  ): Promise<string> {
    const folder = join(root, name);
    for (const part of ['bin', 'src/main', 'dist/main', 'node_modules/.bin']) {
      await mkdir(join(folder, part), { recursive: true });
    }
    await cp(launcher, join(folder, 'bin/stoker.js'));
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
    if (has.source) await writeFile(join(folder, 'src/main/stoker.ts'), program.replace('BY', 'source'));
    if (has.built) {
      const text = program.replace('BY', 'build').replace(': string', '');
      await writeFile(join(folder, 'dist/main/stoker.js'), text);
    }
    if (has.pinned) await symlink(process.execPath, join(folder, 'node_modules/.bin/node'));
    return folder;
  }

  function launch(folder: string, args: string[], options: { old?: boolean } = {}): ChildProcess {
    const preload = options.old === true ? ['--require', join(root, 'old.cjs')] : [];
    return spawn(process.execPath, [...preload, join(folder, 'bin/stoker.js'), ...args], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 20_000,
    });
  }

  async function said(child: ChildProcess): Promise<{ by: string; node: string; args: string[] }> {
    const { stdout, stderr } = await collect(child);
    assert.notEqual(stdout, '', stderr);
    return JSON.parse(stdout) as { by: string; node: string; args: string[] };
  }

  test('runs the sources in this Node when it is new enough', async () => {
    const folder = await makePackage('here', { source: true, built: true });
    const answer = await said(launch(folder, ['up', '--flag=a b']));
    assert.deepEqual(answer, { by: 'source', node: process.versions.node, args: ['up', '--flag=a b'] });
  });

  test('runs the build when there are no sources, or when Node would refuse them', async () => {
    const built = await makePackage('built', { built: true });
    assert.equal((await said(launch(built, []))).by, 'build');
    const installed = await makePackage('node_modules/stoker', { source: true, built: true });
    assert.equal((await said(launch(installed, []))).by, 'build');
  });

  test('an old Node hands over to the one installed beside it', async () => {
    const folder = await makePackage('pinned', { source: true, pinned: true });
    const answer = await said(launch(folder, ['up'], { old: true }));
    assert.deepEqual(answer, { by: 'source', node: process.versions.node, args: ['up'] });
  });

  test('passes on exit codes and signals', async () => {
    const folder = await makePackage('signals', { source: true, pinned: true });
    assert.equal((await collect(launch(folder, ['leave'], { old: true }))).code, 3);
    for (const [signal, code] of [['SIGTERM', 7] as const, ['SIGINT', 8] as const]) {
      const child = launch(folder, ['wait'], { old: true });
      const ended = collect(child);
      await once(child.stdout ?? child, 'data');
      child.kill(signal);
      assert.equal((await ended).code, code, signal);
    }
  });

  test('says in a sentence what to install', async () => {
    const folder = await makePackage('nothing', { source: true });
    const { code, stderr } = await collect(launch(folder, [], { old: true }));
    assert.equal(code, 1);
    assert.match(stderr, /^stoker: Node 24 or newer is needed, and this is Node 18\.0\.0\. Install Node 24.*\n$/);
  });

  test('says when there is no program, and when the program does not load', async () => {
    const empty = await collect(launch(await makePackage('empty', {}), []));
    assert.equal(empty.code, 1);
    assert.match(empty.stderr, /^stoker: there is no program in .*: run "npm run build"/);
    const broken = await collect(launch(await makePackage('broken', { source: true }), ['break']));
    assert.equal(broken.code, 1);
    assert.match(broken.stderr, /^stoker: could not start: .*broken on purpose/);
  });

  test('keeps to what old Nodes can read', async () => {
    const code = (await readFile(launcher, 'utf8')).replaceAll(/\/\/.*|\/\*[\s\S]*?\*\//g, '');
    assert.doesNotMatch(code, /\?\.|\?\?|^await |\basync\b|[^.]\.\.\.[^.]|\bfor await\b|catch \{/m);
  });
});
