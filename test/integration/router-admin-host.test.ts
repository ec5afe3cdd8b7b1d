// The administration port of the router process as a kubelet meets it: by the address of the Pod.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parseSettings } from '../../src/api/settings.ts';
import type { StartedPart } from '../../src/main/part.ts';
import { routerPart } from '../../src/main/router.ts';

let folder = '';

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'router-admin-host-'));
  writeFileSync(join(folder, 'token'), 'token');
});

after(() => rmSync(folder, { recursive: true, force: true }));

async function withRouter(adminHost: string, run: (port: number) => Promise<void>): Promise<void> {
  const flags = {
    port: '0',
    adminPort: '0',
    adminHost,
    logLevel: 'silent',
    // Nobody listens there: this router never gets a table.
    linkUrl: 'ws://127.0.0.1:1',
    linkTokenFile: join(folder, 'token'),
  };
  const started: StartedPart = await routerPart(parseSettings('router', flags, {})).start(new AbortController().signal);
  try {
    await run(Number(started.facts.adminPort));
  } finally {
    await started.stop();
  }
}

function statusOf(host: string, port: number, path: string, hostHeader = `${host}:${port}`): Promise<number | string> {
  return new Promise((resolve) => {
    const asked = request({ host, port, path, headers: { host: hostHeader } }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asked.on('error', (error) => resolve('code' in error ? String(error.code) : error.message));
    asked.end();
  });
}

describe('the administration port of the router', () => {
  it('listens where it is told', async () => {
    await withRouter('127.0.0.2', async (port) => {
      assert.equal(await statusOf('127.0.0.2', port, '/healthz', `127.0.0.1:${port}`), 200);
      assert.equal(await statusOf('127.0.0.1', port, '/healthz'), 'ECONNREFUSED');
    });
  });

  it('answers probes by the address of a Pod, and keeps its page to itself', async () => {
    await withRouter('0.0.0.0', async (port) => {
      const pod = `10.88.0.7:${port}`;
      assert.equal(await statusOf('127.0.0.1', port, '/healthz', pod), 200);
      assert.equal(await statusOf('127.0.0.1', port, '/readyz', pod), 503);
      assert.equal(await statusOf('127.0.0.1', port, '/metrics', pod), 200);
      assert.equal(await statusOf('127.0.0.1', port, '/status.json', pod), 403);
    });
  });
});
