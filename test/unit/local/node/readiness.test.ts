// Readiness as a caller would see it, and the log files of a container.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createManualClock, type ManualClock } from '../../../../src/lib/clock.ts';
import { PROBE_TIMEOUT_MS } from '../../../../src/local/node/bounds.ts';
import { followReadiness } from '../../../../src/local/node/readiness.ts';
import { openRotatingLog } from '../../../../src/local/node/rotating-log.ts';
import { until } from '../../../support/until.ts';

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'stoker-readiness-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

describe('readiness', { timeout: 10_000 }, () => {
  let status = 200;
  let probes = 0;
  const server = createServer((_, response) => {
    probes += 1;
    if (status === 0) return;
    response.writeHead(status).end('x');
  });
  before(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  /** A clock that remembers the waits between probes; the bound of a probe itself is PROBE_TIMEOUT_MS. */
  function spyClock(): ManualClock & { readonly waits: number[] } {
    const clock = createManualClock();
    const waits: number[] = [];
    const timed: ManualClock['after'] = (delayMs, fire) => {
      const timer = clock.after(delayMs, fire);
      if (delayMs !== PROBE_TIMEOUT_MS) waits.push(delayMs);
      return timer;
    };
    return { ...clock, after: timed, waits };
  }

  function start(clock: ManualClock, port: number | string = 'admin') {
    const changes: boolean[] = [];
    const stopping = new AbortController();
    const container = {
      name: 'agent',
      image: 'none',
      ports: [{ name: 'admin', containerPort: 8001 }],
      readinessProbe: { httpGet: { path: '/readyz', port }, periodSeconds: 5 },
    };
    const portsFile = join(folder, 'ports.json');
    const onChange = (ready: boolean) => changes.push(ready);
    const done = followReadiness({ container, host: '127.0.0.1', portsFile, clock, onChange }, stopping.signal);
    const stop = async () => {
      stopping.abort();
      await done;
      assert.equal(clock.pendingTimers(), 0, 'no timer is left');
    };
    return { changes, stop };
  }

  test('is looked for often until it comes, then in its period; one failure is forgiven, three are not', async () => {
    const clock = spyClock();
    const { changes, stop } = start(clock);
    /** Ends the wait; resolves when the next probe was judged. */
    const nextProbe = async (answer: number) => {
      status = answer;
      const { length } = clock.waits;
      clock.advance(clock.waits[length - 1] ?? 0);
      await until(() => clock.waits.length > length, 'the probe was judged');
    };
    await until(() => clock.waits.length === 1, 'nobody listens yet');
    writeFileSync(join(folder, 'ports.json'), JSON.stringify({ admin: (server.address() as AddressInfo).port }));
    await nextProbe(503);
    assert.deepEqual(changes, []);
    await nextProbe(200);
    assert.deepEqual(changes, [true]);
    await nextProbe(500);
    await nextProbe(500);
    assert.deepEqual(changes, [true]);
    await nextProbe(500);
    assert.deepEqual(changes, [true, false]);
    await nextProbe(204);
    assert.deepEqual(changes, [true, false, true]);
    assert.deepEqual(clock.waits, [100, 100, 5000, 5000, 5000, 5000, 5000]);
    assert.equal(probes, 6);
    await stop();
  });

  test('a number means the named port of that number', async () => {
    status = 200;
    const { changes, stop } = start(spyClock(), 8001);
    await until(() => changes.length === 1, 'it is ready');
    await stop();
  });

  test('a probe that hangs is given up', async () => {
    status = 0;
    const clock = spyClock();
    const sofar = probes;
    const { changes, stop } = start(clock);
    await until(() => probes > sofar, 'it was asked');
    clock.advance(PROBE_TIMEOUT_MS);
    await until(() => clock.waits.length === 1, 'it was given up');
    assert.deepEqual(changes, []);
    await stop();
  });
});

describe('the log of a container', () => {
  test('never holds more than two files of its bound, and loses nothing between them', async () => {
    const path = join(folder, 'output.log');
    const log = openRotatingLog(path, 100);
    for (let at = 0; at < 50; at += 1) log.write(`line ${String(at).padStart(2, '0')}\n`);
    await new Promise<void>((resolve) => log.end(() => resolve()));
    assert.ok(statSync(path).size <= 100 && statSync(`${path}.1`).size <= 100);
    const text = readFileSync(`${path}.1`, 'utf8') + readFileSync(path, 'utf8');
    assert.match(text, /^line \d\d\n/);
    assert.ok(text.endsWith('line 49\n'));
    const first = Number(/\d\d/.exec(text)?.[0]);
    assert.equal(text.split('\n').length - 1, 50 - first);
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });
});
