import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { findNetworkSpaces, findShims, makeNodeFolder, sweepNodes } from '../../support/cluster/node-leftovers.ts';

const parent = mkdtempSync(join(tmpdir(), 'stoker-sweep-'));
after(() => rmSync(parent, { recursive: true, force: true }));

/** Of a process that has ended. */
function endedPid(): number {
  return spawnSync(process.execPath, ['-e', '']).pid;
}

test('shims of that folder and all that they hold are found, and nothing else', () => {
  const folder = '/var/tmp/stoker-node-7-abc';
  const shim = (path: string) =>
    `containerd-shim-runc-v2 -namespace k8s.io -id x -address ${path}/run/containerd.sock `;
  const processes = [
    { pid: 10, parent: 1, command: shim(folder) },
    { pid: 13, parent: 12, command: 'node engine' },
    { pid: 11, parent: 10, command: '/pause ' },
    { pid: 12, parent: 10, command: 'stoker agent' },
    { pid: 20, parent: 1, command: shim('/var/tmp/stoker-node-7-abcd') },
    { pid: 21, parent: 20, command: 'stoker agent' },
    { pid: 30, parent: 1, command: `tail -f ${folder}/kubelet.log` },
    { pid: 31, parent: 1, command: shim('/run/containerd') },
  ];
  assert.deepEqual(
    findShims(folder, processes).map(({ pid }) => pid),
    [10, 13, 11, 12],
  );
});

test('network namespaces are those that its own bundles name', () => {
  const folder = makeNodeFolder(parent);
  const bundle = join(folder, 'run/containerd/io.containerd.runtime.v2.task/k8s.io/one');
  mkdirSync(bundle, { recursive: true });
  const namespaces = [{ path: '/var/run/netns/cni-0a1b-2c' }, { type: 'pid' }, { path: '/proc/1/ns/net' }];
  writeFileSync(join(bundle, 'config.json'), JSON.stringify({ linux: { namespaces } }));
  assert.deepEqual(findNetworkSpaces(folder), ['cni-0a1b-2c']);
  assert.deepEqual(findNetworkSpaces(join(parent, 'nothing')), []);
});

test('folders of owners that are gone are removed, those of others stay', async () => {
  const own = makeNodeFolder(parent);
  const orphan = join(parent, `stoker-node-${endedPid()}-x`);
  const stranger = join(parent, 'stoker-node-x');
  for (const path of [orphan, stranger]) mkdirSync(join(path, 'kubelet'), { recursive: true });
  assert.deepEqual(await sweepNodes(parent), [orphan]);
  assert.deepEqual(
    [own, orphan, stranger].map((path) => existsSync(path)),
    [true, false, true],
  );
});
