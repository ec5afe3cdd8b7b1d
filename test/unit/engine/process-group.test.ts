// Real process groups: what an engine may see, how it is ended, and that nothing of it stays.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { createGroupRecords } from '../../../src/engine/group-records.ts';
import { findMembers, isSameProcess, readProcess } from '../../../src/engine/proc.ts';
import { type ProcessGroup, spawnGroup } from '../../../src/engine/process-group.ts';
import { endStaleGroups } from '../../../src/engine/stale-groups.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { until } from '../../support/until.ts';

const environment = { PATH: process.env.PATH, LANG: 'C', STOKER_SECRET: 'secret', NODE_OPTIONS: '--no-warnings' };
let serial = 0;

describe('a process group', { timeout: 30_000 }, () => {
  let stateDir = '';
  let instance = '';
  let lines: string[] = [];
  const groups: ProcessGroup[] = [];
  beforeEach(() => {
    stateDir = mkdtempSync(join(tmpdir(), 'stoker-groups-'));
    serial += 1;
    instance = `test-${process.pid}/group/${serial}`;
    lines = [];
  });
  afterEach(async () => {
    for (const group of groups.splice(0)) await group.stop(0);
    assert.deepEqual(await findMembers({ instance }), []);
    rmSync(stateDir, { recursive: true });
  });
  const records = () => createGroupRecords(stateDir, silentLog);
  const start = async (program: string) => {
    const group = await spawnGroup({
      instance,
      command: process.execPath,
      args: ['-e', program],
      firstLine: '{"key":"k"}',
      environment,
      onLine: (line) => lines.push(line),
      records: records(),
      clock: systemClock,
    });
    groups.push(group);
    return group;
  };
  const stays = 'process.stdin.resume(); setInterval(() => {}, 1000);';
  /** A grandchild in a session of its own, which only its environment gives away. */
  const grandchild = `const child = require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true, stdio: 'ignore' });
    console.log(child.pid);`;

  test('sees a minimal environment and its first line', async () => {
    await start(
      `process.stdin.once('data', (bytes) => console.log(JSON.stringify({ line: String(bytes), env: process.env }))); ${stays}`,
    );
    await until(() => lines.length === 1, 'its first line back');
    const { line, env } = JSON.parse(lines[0] ?? '{}');
    assert.equal(line, '{"key":"k"}\n');
    assert.equal(env.STOKER_INSTANCE, instance);
    assert.equal(env.MALLOC_ARENA_MAX, '2');
    assert.deepEqual(Object.keys(env).sort(), ['LANG', 'MALLOC_ARENA_MAX', 'PATH', 'STOKER_INSTANCE']);
  });

  test('ends on SIGTERM', async () => {
    const group = await start(`process.on('SIGTERM', () => process.exit(7)); console.log('up'); ${stays}`);
    await until(() => lines.length === 1, 'it is up');
    assert.equal((await group.stop(20_000)).code, 7);
    assert.equal(group.isRunning(), false);
  });

  test('is killed when it does not end in time', async () => {
    const group = await start(`process.on('SIGTERM', () => {}); console.log('up'); ${stays}`);
    await until(() => lines.length === 1, 'it is up');
    const exit = await group.stop(20);
    assert.equal(exit.signal, 'SIGKILL');
    assert.deepEqual(await group.stop(20), exit);
  });

  test('takes its grandchildren with it, also out of another session', async () => {
    const group = await start(`${grandchild} ${stays}`);
    await until(() => lines.length === 1, 'the grandchild');
    const pid = Number(lines[0]);
    assert.ok(await readProcess(pid));
    await group.stop(1000);
    const left = await readProcess(pid);
    assert.ok(left === undefined || left.state === 'Z');
  });

  test('a leader that crashes leaves nothing, and its last words are kept', async () => {
    const noise = "process.stderr.write('x'.repeat(5000) + 'the end', () => process.exit(3))";
    const group = await start(`${grandchild} ${noise}`);
    const exit = await group.exited;
    assert.equal(exit.code, 3);
    assert.ok(exit.lastWords.endsWith('the end'));
    assert.ok(exit.lastWords.length <= 2048);
    const left = await readProcess(Number(lines[0]));
    assert.ok(left === undefined || left.state === 'Z');
  });

  test('says in a sentence that it cannot be started', async () => {
    const options = {
      instance,
      args: [],
      firstLine: '',
      environment,
      onLine: () => {},
      records: records(),
      clock: systemClock,
    };
    await assert.rejects(spawnGroup({ ...options, command: '/nowhere/engine' }), /could not be started/);
  });

  test('of an agent that was killed is ended by the next one', async () => {
    const program = `
      import { spawnGroup } from ${JSON.stringify(join(import.meta.dirname, '../../../src/engine/process-group.ts'))};
      import { createGroupRecords } from ${JSON.stringify(join(import.meta.dirname, '../../../src/engine/group-records.ts'))};
      import { systemClock } from ${JSON.stringify(join(import.meta.dirname, '../../../src/lib/clock.ts'))};
      import { silentLog } from ${JSON.stringify(join(import.meta.dirname, '../../../src/lib/log.ts'))};
      const group = await spawnGroup({ instance: ${JSON.stringify(instance)}, command: process.execPath,
        args: ['-e', 'setInterval(() => {}, 1000)'], firstLine: '', environment: {}, onLine: () => {},
        records: createGroupRecords(${JSON.stringify(stateDir)}, silentLog), clock: systemClock });
      console.log(group.pid);
    `;
    const agent = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const pid = await new Promise<number>((resolve) => agent.stdout.once('data', (bytes) => resolve(Number(bytes))));
    // Its owner lives: it is left alone.
    assert.equal(await endStaleGroups({ records: records(), clock: systemClock, log: silentLog }), 0);
    const found = await readProcess(pid);
    const gone = new Promise((resolve) => agent.once('exit', resolve));
    agent.kill('SIGKILL');
    await gone;
    assert.equal(await isSameProcess(pid, found?.startTicks ?? ''), true);
    assert.equal(await endStaleGroups({ records: records(), clock: systemClock, log: silentLog }), 1);
    assert.equal(await isSameProcess(pid, found?.startTicks ?? ''), false);
    assert.deepEqual(await records().findStale(), []);
  });

  test('a process that only has the recorded number is left alone', async () => {
    const stranger = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    await new Promise((resolve) => stranger.once('spawn', resolve));
    const pid = stranger.pid ?? 0;
    const ticks = (await readProcess(pid))?.startTicks ?? '';
    mkdirSync(join(stateDir, 'groups'));
    const record = { instance, pid, startTicks: `${Number(ticks) - 1}`, ownerPid: process.pid, ownerStartTicks: '1' };
    writeFileSync(join(stateDir, 'groups', 'a.json'), JSON.stringify(record));
    writeFileSync(join(stateDir, 'groups', 'b.json'), 'garbage');
    assert.equal(await endStaleGroups({ records: records(), clock: systemClock, log: silentLog }), 0);
    assert.equal(await isSameProcess(pid, ticks), true);
    stranger.kill('SIGKILL');
  });
});
