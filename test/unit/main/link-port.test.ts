// The link keeps its port over restarts, so that the slots of the last run find it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openDataFolder } from '../../../src/main/data-folder.ts';
import { chooseLinkPort, rememberLinkPort } from '../../../src/main/link-port.ts';

const base = mkdtempSync(join(tmpdir(), 'stoker-link-port-'));
after(() => rmSync(base, { recursive: true, force: true }));

test('a port that was set is taken as it is, and a new folder takes any', async () => {
  const folder = openDataFolder(join(base, 'one'));
  assert.equal(await chooseLinkPort(8083, folder), 8083);
  assert.equal(await chooseLinkPort(0, folder), 0);
});

test('the port of the last run is taken again, unless somebody else has it or the file is no port', async () => {
  const folder = openDataFolder(join(base, 'two'));
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  rememberLinkPort(port, folder);
  assert.equal(await chooseLinkPort(0, folder), 0);
  server.close();
  await once(server, 'close');
  assert.equal(await chooseLinkPort(0, folder), port);
  writeFileSync(join(folder.path, 'link-port'), 'none');
  assert.equal(await chooseLinkPort(0, folder), 0);
});
