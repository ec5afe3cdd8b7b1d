// Reads /proc to find the processes that belong to a Pod, and ends them. Never signals a process that carries neither the
// Pod's mark in its environment nor the session of a leader that this node started. Without /proc it finds none.
import { readdir, readFile } from 'node:fs/promises';
import { type Clock, delay } from '../../lib/clock.ts';
import { SWEEP_EVERY_MS, SWEEP_MS_MAX } from './bounds.ts';

/** Variables that every process of a container inherits. */
export const POD_UID_VARIABLE = 'STOKER_POD_UID';
export const CONTAINER_VARIABLE = 'STOKER_CONTAINER';
/** Engines have an environment of their own, with the instance's id in it, which begins with the Pod's uid. */
const INSTANCE_VARIABLE = 'STOKER_INSTANCE';

/** A process for good: a pid alone may be somebody else's by now. */
export interface Leader {
  readonly pid: number;
  /** Clock ticks since boot (field 22 of /proc/<pid>/stat); empty when unknown. */
  readonly startTicks: string;
}

export interface Membership {
  readonly podUid: string;
  /** Only processes of this container; all of the Pod's when absent. */
  readonly container?: string;
  /** The session it opened counts, too, even where the environment was cleared. */
  readonly leader?: Leader;
}

interface Stat extends Leader {
  readonly state: string;
  readonly session: number;
}

export async function readStartTicks(pid: number): Promise<string> {
  return (await readStat(pid))?.startTicks ?? '';
}

/** Kills what belongs to the Pod, and looks again until nothing is found, because a dying process may still fork. */
export async function sweepProcesses(membership: Membership, clock: Clock): Promise<void> {
  const untilMs = clock.nowMs() + SWEEP_MS_MAX;
  for (;;) {
    const members = await findMembers(membership);
    if (members.length === 0 || clock.nowMs() >= untilMs) return;
    for (const pid of members) kill(pid);
    await delay(clock, SWEEP_EVERY_MS);
  }
}

export async function findMembers(membership: Membership): Promise<readonly number[]> {
  const entries = await readdir('/proc').catch(() => []);
  const pids = entries.filter((entry) => /^[1-9][0-9]*$/.test(entry)).map(Number);
  const members = await Promise.all(pids.map((pid) => isMember(pid, membership)));
  return pids.filter((_, at) => members[at] === true);
}

async function isMember(pid: number, { podUid, container, leader }: Membership): Promise<boolean> {
  if (pid === process.pid) return false;
  const stat = await readStat(pid);
  // A zombie holds nothing any more.
  if (stat === undefined || stat.state === 'Z') return false;
  if (leader !== undefined && isOfSession(stat, leader)) return true;
  const variables = await readVariables(pid);
  if (container === undefined && variables.some((entry) => entry.startsWith(`${INSTANCE_VARIABLE}=${podUid}/`)))
    return true;
  if (!variables.includes(`${POD_UID_VARIABLE}=${podUid}`)) return false;
  return container === undefined || variables.includes(`${CONTAINER_VARIABLE}=${container}`);
}

/** A session id can be used again once its session is gone; what started before the leader is not of it. */
function isOfSession(stat: Stat, leader: Leader): boolean {
  if (leader.startTicks === '' || stat.session !== leader.pid) return false;
  return BigInt(stat.startTicks) >= BigInt(leader.startTicks);
}

/** The name in parentheses may hold anything, so fields are counted from the last one: state is field 3. */
async function readStat(pid: number): Promise<Stat | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const startTicks = fields[19] ?? '';
  if (!/^[0-9]+$/.test(startTicks)) return undefined;
  return { pid, state: fields[0] ?? '', session: Number(fields[3]), startTicks };
}

/** What the process was started with; nothing when it is another user's. */
async function readVariables(pid: number): Promise<readonly string[]> {
  const text = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
  return text.split('\0');
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}
