// Remembers in the state folder which process groups this agent started, so that an agent that comes after a crash can end
// them. A record names a process by pid AND start time, and its owner in the same way: a living owner's groups are left alone.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Log } from '../lib/log.ts';
import { isSameProcess, readProcess } from './proc.ts';

const recordSchema = z.object({
  instance: z.string().min(1).max(1024),
  pid: z.int().min(2),
  startTicks: z.string().min(1).max(32),
  ownerPid: z.int().min(1),
  ownerStartTicks: z.string().max(32),
});
type GroupRecord = z.infer<typeof recordSchema>;

/** Files that one pass looks at; a slot has a handful. */
const RECORDS_MAX = 1000;

export interface GroupRecords {
  add(group: { instance: string; pid: number; startTicks: string }): Promise<void>;
  remove(instance: string): Promise<void>;
  /** Records whose owner is gone, with whether the recorded leader still runs. */
  findStale(): Promise<readonly { instance: string; pid: number; startTicks: string; isRunning: boolean }[]>;
}

/** Records live in `<stateDir>/groups`. Errors of the disk are logged: a missing record only costs a later clean-up. */
export function createGroupRecords(stateDir: string, log: Log): GroupRecords {
  const folder = join(stateDir, 'groups');
  const pathOf = (instance: string) =>
    join(folder, `${createHash('sha256').update(instance).digest('hex').slice(0, 32)}.json`);
  return {
    async add(group) {
      const owner = { ownerPid: process.pid, ownerStartTicks: (await readProcess(process.pid))?.startTicks ?? '' };
      const path = pathOf(group.instance);
      try {
        await mkdir(folder, { recursive: true, mode: 0o700 });
        await writeFile(`${path}.new`, JSON.stringify({ ...group, ...owner }), { mode: 0o600 });
        await rename(`${path}.new`, path);
      } catch (error) {
        log.warn({ instance: group.instance, error: String(error) }, 'the engine process could not be recorded');
      }
    },
    async remove(instance) {
      await rm(pathOf(instance), { force: true }).catch((error: unknown) => {
        log.warn({ instance, error: String(error) }, 'the record of an ended engine could not be removed');
      });
    },
    async findStale() {
      const stale = [];
      for (const record of await readRecords(folder)) {
        if (await isSameProcess(record.ownerPid, record.ownerStartTicks)) continue;
        const { instance, pid, startTicks } = record;
        stale.push({ instance, pid, startTicks, isRunning: await isSameProcess(pid, startTicks) });
      }
      return stale;
    },
  };
}

async function readRecords(folder: string): Promise<readonly GroupRecord[]> {
  const names = await readdir(folder).catch(() => []);
  const records: GroupRecord[] = [];
  for (const name of names.filter((entry) => entry.endsWith('.json')).slice(0, RECORDS_MAX)) {
    const record = parseRecord(await readFile(join(folder, name), 'utf8').catch(() => ''));
    if (record !== undefined) records.push(record);
  }
  return records;
}

function parseRecord(text: string): GroupRecord | undefined {
  try {
    return recordSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
