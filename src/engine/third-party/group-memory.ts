// The memory of all processes of one instance together: engines that are not ours compute in children of the process that we
// started. Shared memory is counted once. Reads /proc and nothing else.
import { readFile } from 'node:fs/promises';
import { findMembers, type Membership } from '../proc.ts';

/** Bytes that only this instance holds; 0 where nothing can be read. */
export async function readGroupBytes(membership: Membership): Promise<number> {
  let privateBytes = 0;
  let sharedBytes = 0;
  for (const pid of await findMembers(membership)) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    privateBytes += fieldOf(status, 'RssAnon') + fieldOf(status, 'VmSwap');
    sharedBytes = Math.max(sharedBytes, fieldOf(status, 'RssShmem'));
  }
  return privateBytes + sharedBytes;
}

function fieldOf(status: string, name: string): number {
  const kib = new RegExp(`^${name}:\\s+([0-9]+) kB`, 'm').exec(status)?.[1];
  return kib === undefined ? 0 : Number(kib) * 1024;
}
