// Reads /proc: the descendants of a process and whether a process still is the same one. For leak checks in tests.
import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessRef {
  readonly pid: number;
  /** Start time in clock ticks since boot; together with the pid it names one process for good. */
  readonly startTicks: string;
  readonly command: string;
}

interface Stat {
  readonly parent: number;
  readonly startTicks: string;
  readonly state: string;
}

function readStat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', parent: Number(fields[1]), startTicks: fields[19] ?? '' };
  } catch {
    return undefined;
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

/** Every process below `root`, not root itself. */
export function descendants(root: number): ProcessRef[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const stat = readStat(pid);
    if (stat !== undefined) children.set(stat.parent, [...(children.get(stat.parent) ?? []), pid]);
  }
  const found: ProcessRef[] = [];
  const visit = (pid: number) => {
    for (const child of children.get(pid) ?? []) {
      found.push({ pid: child, startTicks: readStat(child)?.startTicks ?? '', command: commandOf(child) });
      visit(child);
    }
  };
  visit(root);
  return found;
}

/** True while that very process runs (a zombie does not). */
export function isRunning(ref: ProcessRef): boolean {
  const stat = readStat(ref.pid);
  return stat !== undefined && stat.startTicks === ref.startTicks && stat.state !== 'Z';
}

/** Proportional memory of processes in MiB, so that shared pages count once. */
export function proportionalMiB(pids: readonly number[]): number {
  let kib = 0;
  for (const pid of pids) {
    try {
      kib += Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
    } catch {
      // It ended while we were reading.
    }
  }
  return kib / 1024;
}
