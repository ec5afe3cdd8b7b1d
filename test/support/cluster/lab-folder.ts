// A temporary folder for one control plane, named after the process that owns it. Folders whose owner was killed before
// it could clean up are removed by whoever makes the next one.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PREFIX = 'stoker-cluster-';
/** etcd is four times as fast here, and what it holds is thrown away. */
const MEMORY_FOLDER = '/dev/shm';

export function makeLabFolder(): string {
  const parent = existsSync(MEMORY_FOLDER) ? MEMORY_FOLDER : tmpdir();
  for (const name of readdirSync(parent)) {
    const owner = Number(/^stoker-cluster-(\d+)-/.exec(name)?.[1]);
    if (owner > 0 && !isRunning(owner)) rmSync(join(parent, name), { recursive: true, force: true });
  }
  return mkdtempSync(join(parent, `${PREFIX}${process.pid}-`));
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process is running, too.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
