// The frame of a long-running process: it stops at any moment, in time, and tells its parent what became of it.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';

const script = join(import.meta.dirname, '../../support/scripted-part.ts');

interface Running {
  readonly child: ChildProcess;
  readonly messages: unknown[];
  /** Resolves once the process printed the word. */
  said(word: string): Promise<void>;
  ended(): Promise<{ code: number | null; out: string; err: string }>;
}

function start(behaviour: string): Running {
  const child = spawn(process.execPath, [script, behaviour], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  const messages: unknown[] = [];
  let out = '';
  let err = '';
  child.on('message', (message) => messages.push(message));
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    err += text;
  });
  // Not 'close': Node emits none for a child whose channel was closed from this side.
  const exited = once(child, 'exit');
  const read = Promise.all([child.stdout, child.stderr].map((stream) => stream && once(stream, 'end')));
  return {
    child,
    messages,
    async said(word) {
      while (!out.includes(word)) await once(child.stdout ?? child, 'data');
    },
    async ended() {
      const [code] = await exited;
      await read;
      return { code: code as number | null, out, err };
    },
  };
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  test(`${signal} stops a part that is ready`, async () => {
    const part = start('ready');
    await once(part.child, 'message');
    assert.deepEqual(part.messages, [{ type: 'ready', facts: { port: 1, pid: part.child.pid } }]);
    part.child.kill(signal);
    assert.deepEqual(await part.ended(), { code: 0, out: 'starting\nstarted\nstopped\n', err: '' });
  });
}

test('a part stops on the word of its parent, and when its parent is gone', async () => {
  for (const end of [
    (part: Running) => part.child.send({ type: 'stop' }),
    (part: Running) => part.child.disconnect(),
  ]) {
    const part = start('ready');
    await once(part.child, 'message');
    end(part);
    const { code, out } = await part.ended();
    assert.deepEqual([code, out], [0, 'starting\nstarted\nstopped\n']);
  }
});

test('a stop while the part starts aborts the start, stops what came of it, and never says ready', async () => {
  const part = start('slow');
  await part.said('starting');
  part.child.kill('SIGINT');
  const { code, out } = await part.ended();
  assert.deepEqual([code, out, part.messages], [0, 'starting\nstarted\nstopped\n', []]);
});

test('a parent that is gone before the part runs stops it, too', async () => {
  const part = start('ready');
  part.child.disconnect();
  const { code, out } = await part.ended();
  assert.equal(code, 0);
  assert.match(out, /stopped/);
});

test('a part that never starts, or never stops, is given up in time', async () => {
  const stuck = start('stuck');
  await stuck.said('starting');
  stuck.child.kill('SIGTERM');
  assert.equal((await stuck.ended()).code, 1);
  const stubborn = start('stubborn');
  await once(stubborn.child, 'message');
  stubborn.child.kill('SIGTERM');
  assert.equal((await stubborn.ended()).code, 1);
});

test('a part that cannot start says why to its parent and on standard error', async () => {
  const part = start('failing');
  const { code, err } = await part.ended();
  assert.deepEqual(part.messages, [{ type: 'failed', sentence: 'The port is taken.' }]);
  assert.deepEqual([code, err], [1, 'stoker scripted: The port is taken.\n']);
});

test('a part that cannot go on is stopped in order, and the process says that it failed', async () => {
  const part = start('over');
  const { code, out } = await part.ended();
  assert.deepEqual([code, out], [1, 'starting\nstarted\nstopped\n']);
  assert.deepEqual(part.messages, [{ type: 'ready', facts: { port: 1, pid: part.child.pid } }]);
});
