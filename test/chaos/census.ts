// Looks at the processes of a running Stoker again and again: which there ever were, how much memory and how many open files
// the parts had at most, and what each part says about itself. For leak checks; changes nothing.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { request } from 'undici';
import { isRunning } from '../support/process-tree.ts';
import { findParts, type PartKind, type PartProcess } from './part-processes.ts';

export interface Peak {
  count: number;
  residentMiB: number;
  openFiles: number;
}

export interface Census {
  /** One look. */
  look(): readonly PartProcess[];
  readonly peaks: ReadonlyMap<PartKind, Peak>;
  /** Processes that were seen once and still run, beside the given ones. */
  leftBeside(expected: readonly PartProcess[]): readonly PartProcess[];
}

export function takeCensus(root: number): Census {
  const seen = new Map<string, PartProcess>();
  const peaks = new Map<PartKind, Peak>();
  return {
    peaks,
    look() {
      const parts = findParts(root);
      const counts = new Map<PartKind, number>();
      for (const part of parts) {
        seen.set(nameOf(part), part);
        counts.set(part.kind, (counts.get(part.kind) ?? 0) + 1);
        const peak = peaks.get(part.kind) ?? { count: 0, residentMiB: 0, openFiles: 0 };
        peaks.set(part.kind, {
          count: Math.max(peak.count, counts.get(part.kind) ?? 0),
          residentMiB: Math.max(peak.residentMiB, residentMiB(part.pid)),
          openFiles: Math.max(peak.openFiles, openFiles(part.pid)),
        });
      }
      return parts;
    },
    leftBeside(expected) {
      const names = new Set(expected.map(nameOf));
      return [...seen.values()].filter((part) => !names.has(nameOf(part)) && isRunning(part));
    },
  };
}

function nameOf({ pid, startTicks }: PartProcess): string {
  return `${pid} ${startTicks}`;
}

const PAGE_BYTES = 4096;

function residentMiB(pid: number): number {
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
    return (pages * PAGE_BYTES) / 1024 / 1024;
  } catch {
    return 0;
  }
}

export function openFiles(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
}

/** The figures of one part, by metric and labels as Prometheus writes them. Undefined when it does not answer. */
export async function readFigures(adminUrl: string): Promise<ReadonlyMap<string, number> | undefined> {
  try {
    const response = await request(`${adminUrl}/metrics`, { headersTimeout: 2000, bodyTimeout: 2000 });
    const text = await response.body.text();
    const rows = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return new Map(
      rows.map((row) => [row.slice(0, row.lastIndexOf(' ')), Number(row.slice(row.lastIndexOf(' ') + 1))]),
    );
  } catch {
    return undefined;
  }
}

/** Administration addresses of the agents that run now. */
export function agentAddresses(dataDir: string, parts: readonly PartProcess[]): string[] {
  return parts.flatMap(({ kind, podUid }) => {
    if (kind !== 'agent' || podUid === undefined) return [];
    try {
      const file = join(dataDir, 'pods', podUid, 'containers/agent/ports.json');
      const { admin } = JSON.parse(readFileSync(file, 'utf8')) as { admin: number };
      return [`http://127.0.0.1:${admin}`];
    } catch {
      return [];
    }
  });
}
