// Takes away what nodes of tests left behind that were killed before they could clean up: container shims and what runs in
// them, mounts, network namespaces, folders. Touches only what lies in, or names, a folder whose owner is gone.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { delay, systemClock } from '../../../src/lib/clock.ts';
import { runCommand } from './shell.ts';

const PREFIX = 'stoker-node-';
/** Where the runtime keeps what it knows of each container, below the folder of a node. */
const BUNDLES = 'run/containerd/io.containerd.runtime.v2.task/k8s.io';
const END_MS_MAX = 5000;

/** A folder of its own, named after the process that owns it. */
export function makeNodeFolder(parent: string): string {
  return mkdtempSync(join(parent, `${PREFIX}${process.pid}-`));
}

/** Of nodes whose owner does not run any more. Returns their folders. */
export async function sweepNodes(parent: string): Promise<readonly string[]> {
  const folders = readdirSync(parent)
    .filter((name) => isOrphaned(name))
    .map((name) => join(parent, name));
  for (const folder of folders) await sweep(folder);
  return folders;
}

function isOrphaned(name: string): boolean {
  const owner = Number(/^stoker-node-(\d+)-/.exec(name)?.[1]);
  return owner > 0 && !existsSync(`/proc/${owner}`);
}

async function sweep(folder: string): Promise<void> {
  const spaces = findNetworkSpaces(folder);
  await endShims(folder);
  await unmountBelow(folder);
  for (const space of spaces) await runCommand(['ip', 'netns', 'del', space]).catch(() => '');
  rmSync(folder, { recursive: true, force: true });
}

/** Of Pods, by what their bundles say. */
export function findNetworkSpaces(folder: string): readonly string[] {
  const root = join(folder, BUNDLES);
  if (!existsSync(root)) return [];
  const spaces = readdirSync(root).flatMap((id) => {
    const path = join(root, id, 'config.json');
    if (!existsSync(path)) return [];
    const { linux } = JSON.parse(readFileSync(path, 'utf8')) as { linux?: { namespaces?: { path?: string }[] } };
    return (linux?.namespaces ?? []).flatMap((one) => /\/netns\/(cni-[0-9a-f-]+)$/.exec(one.path ?? '')?.[1] ?? []);
  });
  return [...new Set(spaces)];
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

function listProcesses(): readonly Process[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ');
      return [{ pid: Number(name), parent, command }];
    } catch {
      // It ended meanwhile.
      return [];
    }
  });
}

/** Shims are told the socket of their containerd, which lies in the folder. What they hold are their children. */
export function findShims(folder: string, processes: readonly Process[]): readonly Process[] {
  const socket = ` -address ${join(folder, 'run/containerd.sock')}`;
  const shims = processes.filter(({ command }) => `${command} `.includes(`${socket} `));
  const held = new Set(shims.map(({ pid }) => pid));
  for (let before = 0; before !== held.size; ) {
    before = held.size;
    for (const { pid, parent } of processes) if (held.has(parent)) held.add(pid);
  }
  return processes.filter(({ pid }) => held.has(pid));
}

async function endShims(folder: string): Promise<void> {
  const endMs = performance.now() + END_MS_MAX;
  for (;;) {
    const left = findShims(folder, listProcesses());
    if (left.length === 0 || performance.now() > endMs) return;
    for (const { pid } of left) endProcess(pid);
    await delay(systemClock, 100);
  }
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended meanwhile.
  }
}

export async function unmountBelow(folder: string): Promise<void> {
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${folder}/`));
  for (const path of mounts.sort().reverse()) {
    await runCommand(['umount', path]).catch(() => runCommand(['umount', '-l', path]));
  }
}
