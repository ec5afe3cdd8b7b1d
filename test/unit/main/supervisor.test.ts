// The supervisor of `stoker up`: it waits for ready, restarts what dies, and leaves no child however far it came.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createManualClock, type ManualClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { createRng } from '../../../src/lib/rng.ts';
import type { Facts } from '../../../src/main/part.ts';
import { type ChildSpec, supervise } from '../../../src/main/supervisor.ts';
import { until } from '../../support/until.ts';

const logFolder = mkdtempSync(join(tmpdir(), 'stoker-supervisor-'));
after(() => rmSync(logFolder, { recursive: true, force: true }));
const script = join(import.meta.dirname, '../../support/scripted-part.ts');

function supervised(name: string, behaviours: readonly string[], clock: ManualClock = createManualClock()) {
  const restarts: string[] = [];
  const seen: (Facts | undefined)[] = [];
  const spec: ChildSpec = {
    name,
    stopMsMax: 1000,
    args(last) {
      seen.push(last);
      return [behaviours[Math.min(seen.length, behaviours.length) - 1] ?? ''];
    },
  };
  const child = supervise(spec, {
    program: { command: process.execPath, args: [script] },
    logFolder,
    clock,
    rng: createRng(1),
    log: silentLog,
    onRestart: (which) => restarts.push(which),
  });
  const path = join(logFolder, `${name}.log`);
  return { child, clock, restarts, seen, log: () => (existsSync(path) ? readFileSync(path, 'utf8') : '') };
}

const pidOf = (facts: Facts | undefined) => Number(facts?.pid);
/** Whether the process of the pid is there at all; it is one that this test started moments ago. */
const lives = (pid: number) => existsSync(`/proc/${pid}`);

test('a child is started, tells its facts, writes its log, and is gone after stop', async () => {
  const { child, log } = supervised('plain', ['ready']);
  const facts = await child.start();
  assert.equal(facts.port, 1);
  assert.ok(lives(pidOf(facts)));
  await child.stop();
  assert.ok(!lives(pidOf(facts)));
  assert.match(log(), /starting\nstarted\nstopped\n/);
});

test('a child that cannot start rejects with its own sentence, and can be stopped all the same', async () => {
  const { child } = supervised('failing', ['failing']);
  await assert.rejects(child.start(), /^StartError: The port is taken\.$/);
  await child.stop();
});

test('stop before start, and stop while the child starts, leave nothing', async () => {
  await supervised('never', ['ready']).child.stop();
  const { child, log } = supervised('early', ['slow']);
  const started = assert.rejects(child.start(), /ended before it was ready/);
  await until(() => log().includes('starting'), 'the child begins to start');
  await child.stop();
  await started;
  assert.match(log(), /stopped\n$/);
});

test('a child that died is started again after a pause, with the facts of the last start', async () => {
  const { child, clock, restarts, seen, log } = supervised('mortal', ['mortal', 'ready']);
  const first = await child.start();
  await until(() => restarts.length === 1, 'the death is seen');
  assert.deepEqual(restarts, ['mortal']);
  await clock.advance(10_000);
  await until(() => log().split('started').length === 3, 'the second start');
  assert.deepEqual(seen, [undefined, first]);
  await child.stop();
});

test('a child that is asked to stop while it waits to be restarted is not started again', async () => {
  const { child, clock, restarts, seen } = supervised('waiting', ['mortal', 'ready']);
  await child.start();
  await until(() => restarts.length === 1, 'the death is seen');
  await child.stop();
  await clock.advance(60_000);
  assert.equal(seen.length, 1);
});

test('a child that does not react is killed when its time is over', async () => {
  const { child, clock } = supervised('frozen', ['ready']);
  const pid = pidOf(await child.start());
  process.kill(pid, 'SIGSTOP');
  const stopped = child.stop();
  await clock.advance(999);
  assert.ok(lives(pid));
  await clock.advance(1);
  await stopped;
  assert.ok(!lives(pid));
});
