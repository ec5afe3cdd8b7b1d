// The folder of one Pod: <dataDir>/pods/<uid>/. Owns its layout and the record of running leaders, from which a node that
// comes after a crash ends what is left. Names come from objects, so each is checked before it becomes a path.
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import type { Leader } from './processes.ts';

export interface ContainerFolder {
  readonly path: string;
  /** Absolute paths of the container are found below it. */
  readonly mountRoot: string;
  readonly portsFile: string;
  readonly logFile: string;
  /** What the container may keep between its restarts. */
  readonly dataDir: string;
  recordLeader(leader: Leader): void;
  forgetLeader(): void;
}

/** One part of a path: what Kubernetes allows as a name or uid. */
const NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

export function isPathName(name: string): boolean {
  return NAME.test(name) && !name.includes('..');
}

export function podsFolder(dataDir: string): string {
  return join(dataDir, 'pods');
}

export function volumeFolder(podFolder: string, volume: string): string {
  return join(podFolder, 'volumes', volume);
}

/** Makes the folder of a container and points its mounts at the Pod's volumes. */
export function makeContainerFolder(
  podFolder: string,
  container: string,
  mounts: readonly { readonly name: string; readonly mountPath: string }[],
): ContainerFolder {
  const path = join(podFolder, 'containers', container);
  const mountRoot = join(path, 'root');
  const record = join(path, 'leader.json');
  rmSync(mountRoot, { recursive: true, force: true });
  for (const folder of [mountRoot, join(path, 'data')]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const mount of mounts) linkMount(mountRoot, mount.mountPath, volumeFolder(podFolder, mount.name));
  return {
    path,
    mountRoot,
    portsFile: join(path, 'ports.json'),
    logFile: join(path, 'output.log'),
    dataDir: join(path, 'data'),
    recordLeader: (leader) => writeFileSync(record, JSON.stringify(leader), { mode: 0o600 }),
    forgetLeader: () => rmSync(record, { force: true }),
  };
}

/** True for an absolute path that stays where it says. */
export function isMountPath(path: string): boolean {
  const plain = withoutLastSlash(path);
  return plain.startsWith('/') && plain !== '/' && posix.normalize(plain) === plain && !plain.includes('\0');
}

function withoutLastSlash(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}

function linkMount(root: string, mountPath: string, volume: string): void {
  const at = join(root, withoutLastSlash(mountPath));
  mkdirSync(dirname(at), { recursive: true, mode: 0o700 });
  symlinkSync(relative(dirname(at), volume), at);
}

/** Uids of Pods that have a folder. */
export function listPodFolders(dataDir: string): readonly string[] {
  return readNames(podsFolder(dataDir)).filter(isPathName);
}

/** Leaders that were recorded as running in the Pod. */
export function readLeaders(podFolder: string): readonly Leader[] {
  const containers = join(podFolder, 'containers');
  return readNames(containers).flatMap((name) => {
    const leader = readLeader(join(containers, name, 'leader.json'));
    return leader === undefined ? [] : [leader];
  });
}

function readLeader(path: string): Leader | undefined {
  try {
    const found: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof found !== 'object' || found === null || !('pid' in found) || !('startTicks' in found)) return undefined;
    const { pid, startTicks } = found;
    if (typeof pid !== 'number' || pid < 2 || typeof startTicks !== 'string' || !/^[0-9]+$/.test(startTicks))
      return undefined;
    return { pid, startTicks };
  } catch {
    return undefined;
  }
}

function readNames(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

const LAST_WORDS_BYTES_MAX = 4096;

/** What a container wrote to /dev/termination-log, as the kubelet reads it. */
export function readLastWords(mountRoot: string): string | undefined {
  try {
    const file = openSync(join(mountRoot, 'dev/termination-log'), 'r');
    try {
      const bytes = Buffer.alloc(LAST_WORDS_BYTES_MAX);
      const size = readSync(file, bytes, 0, bytes.length, 0);
      return size === 0 ? undefined : bytes.toString('utf8', 0, size);
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
}
