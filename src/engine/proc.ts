// Reads /proc: when a process started, what group it is in, which processes carry an instance id. Kills nothing.
// Where there is no /proc (macOS) every answer is "unknown" or "none": callers must then leave processes alone.
import { readdir, readFile } from 'node:fs/promises';

/** The variable that every process of an instance carries. */
export const INSTANCE_VARIABLE = 'STOKER_INSTANCE';

export interface ProcessStat {
  readonly pid: number;
  /** One letter; Z is a zombie, which holds nothing any more. */
  readonly state: string;
  readonly session: number;
  /** Start time in clock ticks since boot (field 22): together with the pid it names one process for good. */
  readonly startTicks: string;
}

/** Undefined when there is no such process, or no /proc. */
export async function readProcess(pid: number): Promise<ProcessStat | undefined> {
  try {
    return parseStat(pid, await readFile(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return undefined;
  }
}

/** The command name in parentheses may hold anything, so fields are counted from the last parenthesis: state is field 3. */
function parseStat(pid: number, text: string): ProcessStat {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { pid, state: fields[0] ?? '', session: Number(fields[3]), startTicks: fields[19] ?? '' };
}

/** True while that very process runs; a zombie does not. */
export async function isSameProcess(pid: number, startTicks: string): Promise<boolean> {
  const found = await readProcess(pid);
  return found !== undefined && startTicks !== '' && found.startTicks === startTicks && found.state !== 'Z';
}

/** What makes a process belong to an instance: its environment, or the session that the instance's leader opened. */
export interface Membership {
  readonly instance: string;
  readonly leader?: { readonly pid: number; readonly startTicks: string };
}

/** Pids of running processes that belong to the instance. */
export async function findMembers(membership: Membership): Promise<readonly number[]> {
  const members: number[] = [];
  for (const pid of await runningPids()) {
    const found = await readProcess(pid);
    if (found !== undefined && found.state !== 'Z' && (await isMember(found, membership))) members.push(pid);
  }
  return members;
}

async function runningPids(): Promise<readonly number[]> {
  try {
    return (await readdir('/proc')).filter((entry) => /^[0-9]+$/.test(entry)).map(Number);
  } catch {
    return [];
  }
}

async function isMember(found: ProcessStat, { instance, leader }: Membership): Promise<boolean> {
  if (leader !== undefined && found.session === leader.pid && startedSince(found, leader.startTicks)) return true;
  return (await readVariables(found.pid)).includes(`${INSTANCE_VARIABLE}=${instance}`);
}

/** A session id can be used again once its session is gone; a process that started before the leader is not of it. */
function startedSince(found: ProcessStat, startTicks: string): boolean {
  return startTicks !== '' && BigInt(found.startTicks || '0') >= BigInt(startTicks);
}

/** The environment that a process was started with; empty when it may not be read (another user's) or is gone. */
async function readVariables(pid: number): Promise<readonly string[]> {
  try {
    return (await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0');
  } catch {
    return [];
  }
}

/** Bytes of memory that a process holds; undefined when unknown. */
export async function readResidentBytes(pid: number): Promise<number | undefined> {
  try {
    const kib = /^VmRSS:\s+([0-9]+) kB/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kib === undefined ? undefined : Number(kib) * 1024;
  } catch {
    return undefined;
  }
}
