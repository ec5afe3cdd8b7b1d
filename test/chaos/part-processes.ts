// Which processes a running `stoker up` consists of, read from /proc: the parts by their command line, the engines by the
// instance that they carry. Kills exactly the processes that it found below the given one.
import { readFileSync } from 'node:fs';
import { descendants, isRunning, type ProcessRef } from '../support/process-tree.ts';

export const partKinds = ['local-api', 'local-node', 'controller', 'router', 'agent', 'engine'] as const;
export type PartKind = (typeof partKinds)[number];

export interface PartProcess extends ProcessRef {
  readonly kind: PartKind;
  /** Of agents and engines: the Pod that it belongs to. */
  readonly podUid: string | undefined;
  /** Of engines: the revision that it runs. */
  readonly revision: string | undefined;
}

/** Every part below the process, in no order. A process that just ends may be missing. */
export function findParts(root: number): PartProcess[] {
  return descendants(root).flatMap((ref) => {
    const kind = kindOf(ref.command);
    if (kind === undefined) return [];
    const variables = readVariables(ref.pid);
    const [instancePod, revision] = (variables.get('STOKER_INSTANCE') ?? '').split('/');
    const podUid = kind === 'engine' ? instancePod : variables.get('STOKER_POD_UID');
    return [{ ...ref, kind, podUid: podUid || undefined, revision: revision || undefined }];
  });
}

/** Ends it at once, without a chance to say anything. False when it had ended already. */
export function killAtOnce(part: PartProcess): boolean {
  if (!isRunning(part)) return false;
  try {
    process.kill(part.pid, 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}

function kindOf(command: string): PartKind | undefined {
  if (/\/server-process\.(ts|js)$/.test(command)) return 'engine';
  const name = /\/main\/stoker\.(?:ts|js) ([a-z-]+)/.exec(command)?.[1];
  return partKinds.find((kind) => kind === name);
}

function readVariables(pid: number): Map<string, string> {
  try {
    const entries = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    return new Map(
      entries.map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)] as const),
    );
  } catch {
    return new Map();
  }
}
