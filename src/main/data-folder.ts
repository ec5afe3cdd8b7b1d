// The data folder of local mode: its layout, its lock, and the files that one part leaves for another.
// Secrets in it are mode 0600; the folder itself is 0700.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ADDRESSES_FILE, KUBECONFIG_FILE } from '../api/addresses.ts';
import { StartError } from './part.ts';

export interface DataFolder {
  readonly path: string;
  readonly logs: string;
  /** What `stoker up` tells other commands: addresses and token files. */
  readonly addressesFile: string;
  readonly kubeconfigFile: string;
  /** Kubeconfigs and tokens of the parts. */
  secretFile(name: string): string;
}

/** Makes the folder and its parts. Throws StartError when it cannot. */
export function openDataFolder(path: string): DataFolder {
  const folder = describeDataFolder(path);
  try {
    mkdirSync(folder.path, { recursive: true, mode: 0o700 });
    mkdirSync(folder.logs, { recursive: true, mode: 0o700 });
    mkdirSync(join(folder.path, 'private'), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new StartError(
      `The data folder ${folder.path} cannot be made: ${error instanceof Error ? error.message : String(error)}. Choose another with --data-dir.`,
    );
  }
  return folder;
}

/** The layout, without touching the disk. */
export function describeDataFolder(path: string): DataFolder {
  const root = resolve(path);
  return {
    path: root,
    logs: join(root, 'logs'),
    addressesFile: join(root, ADDRESSES_FILE),
    kubeconfigFile: join(root, KUBECONFIG_FILE),
    secretFile: (name) => join(root, 'private', name),
  };
}

/** Writes a file of mode 0600 in one step, so that a reader sees the old or the new one. */
export function writePrivateFile(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.new`;
  writeFileSync(temporary, text, { mode: 0o600 });
  renameSync(temporary, path);
}

/** Reads the token in `path`; makes one of 256 random bits when there is none. */
export function readOrMakeToken(path: string): string {
  if (existsSync(path)) return readFileSync(path, 'utf8').trim();
  const token = randomBytes(32).toString('base64url');
  writePrivateFile(path, `${token}\n`);
  return token;
}

interface Holder {
  readonly pid: number;
  readonly startTicks: string;
}

/** Takes the folder's lock for this process. Throws StartError when another `stoker up` has it. Returns the release. */
export function lockDataFolder(folder: DataFolder): () => void {
  const path = join(folder.path, 'lock');
  const holder = readHolder(path);
  if (holder !== undefined && holder.startTicks !== '' && startTicks(holder.pid) === holder.startTicks) {
    throw new StartError(
      `Another Stoker (process ${holder.pid}) uses the data folder ${folder.path}. Stop it, or choose another folder with --data-dir.`,
    );
  }
  writePrivateFile(path, JSON.stringify({ pid: process.pid, startTicks: startTicks(process.pid) }));
  return () => rmSync(path, { force: true });
}

function readHolder(path: string): Holder | undefined {
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof parsed !== 'object' || parsed === null || !('pid' in parsed) || !('startTicks' in parsed))
      return undefined;
    const { pid, startTicks } = parsed;
    return typeof pid === 'number' && typeof startTicks === 'string' ? { pid, startTicks } : undefined;
  } catch {
    return undefined;
  }
}

/** When a process started, in clock ticks since boot (field 22 of /proc/<pid>/stat): a pid alone may be somebody else's by now. */
function startTicks(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
