// What the kernel says of this process's own memory. Resident size misleads for a mapped file (its pages are shared and can
// be dropped at any time), so the anonymous and the swapped part are what is watched.
// Must never fail: a system without /proc simply has no figures.
import { readFile } from 'node:fs/promises';

export interface ProcessMemory {
  readonly anonymousBytes: number | undefined;
  readonly swappedBytes: number | undefined;
}

export async function readProcessMemory(): Promise<ProcessMemory> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  return parseProcessStatus(status);
}

export function parseProcessStatus(status: string): ProcessMemory {
  return { anonymousBytes: kibibytes(status, 'RssAnon'), swappedBytes: kibibytes(status, 'VmSwap') };
}

function kibibytes(status: string, name: string): number | undefined {
  const found = new RegExp(`^${name}:\\s+([0-9]+) kB$`, 'm').exec(status)?.[1];
  return found === undefined ? undefined : Number(found) * 1024;
}
