// The only writer of objects. Operations run one after another, in batches of one SQLite transaction each, and are
// answered after the commit; until then nobody but later operations of the batch sees what they did. A failed operation
// leaves nothing behind, and a dry run never does. The resourceVersion is one counter for everything.
import { setImmediate } from 'node:timers';
import type { Log } from '../../lib/log.ts';
import type { ApiObject } from './definition.ts';
import { asObject } from './json-value.ts';
import { type ObjectFile, type ObjectPlace, type ObjectRow, openObjectFile } from './object-file.ts';
import { createObjectIndex, type ObjectIndex, type ObjectReader, type StoredObject } from './object-index.ts';
import { internalError, tooManyRequests } from './status-error.ts';

export interface Change {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly before: StoredObject | undefined;
  /** The new state; of a deletion the last state under the version of the deletion. */
  readonly after: StoredObject;
}

export interface Transaction extends ObjectReader {
  /** Writes under the next version, which the object then carries. */
  put(place: ObjectPlace, object: ApiObject): StoredObject;
  /** Takes the object away; `last` is what watchers are told it was. */
  remove(place: ObjectPlace, last: ApiObject): StoredObject;
}

export interface ObjectStore extends ObjectReader {
  /** Of the last write of all. */
  version(): number;
  /** Rejects with what the operation threw, or with an ApiError when the disk refused. Operations must not wait. */
  transact<T>(operation: (transaction: Transaction) => T, options?: { readonly dryRun?: boolean }): Promise<T>;
  /** Called once for each batch, after its commit. */
  onCommit(listener: (changes: readonly Change[]) => void): void;
  /** Answers what waits, then closes the file. */
  close(): void;
}

/** Operations of one batch: bounds how long the event loop waits, and how much one commit carries. */
const BATCH_MAX = 32;
/** Operations that wait for their batch; more are refused. */
const QUEUED_MAX = 4096;

interface Waiting {
  readonly dryRun: boolean;
  /** Runs the operation; returns how to answer once the batch is committed. */
  run(transaction: Transaction): () => void;
  reject(error: unknown): void;
}

interface Ledger {
  readonly transaction: Transaction;
  readonly changes: Change[];
  /** Undoes the changes from `mark` on. */
  rollBack(mark: number): void;
  version(): number;
}

/** Throws an Error with a sentence when the file cannot be used. */
export function openObjectStore(path: string, kinds: ReadonlySet<string>, log: Log): ObjectStore {
  const file = openObjectFile(path);
  const index = createObjectIndex();
  const ledger = createLedger(index, loadOrClose(file, index, kinds));
  const listeners: ((changes: readonly Change[]) => void)[] = [];
  const queue: Waiting[] = [];
  let isScheduled = false;
  let isClosed = false;

  function schedule(): void {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      if (!isClosed) flush();
      if (queue.length > 0) schedule();
    });
  }

  function flush(): void {
    const batch = queue.splice(0, BATCH_MAX);
    const answers = batch.map((waiting) => runOne(ledger, waiting));
    const changes = [...ledger.changes];
    try {
      if (changes.length > 0) file.write(changes.map(fileChange), ledger.version());
    } catch (error) {
      ledger.rollBack(0);
      log.error({ error: String(error) }, 'objects could not be written');
      for (const { reject } of batch) reject(internalError(`the objects could not be written: ${String(error)}`));
      return;
    }
    ledger.changes.length = 0;
    if (changes.length > 0) for (const listener of listeners) listener(changes);
    for (const answer of answers) answer();
  }

  return {
    ...index,
    version: () => ledger.version(),
    transact: (operation, options) =>
      new Promise((resolve, reject) => {
        if (isClosed) throw internalError('the server is stopping');
        if (queue.length >= QUEUED_MAX) throw tooManyRequests('too many writes are waiting; try again in a second');
        const run = (transaction: Transaction) => {
          const value = operation(transaction);
          return () => resolve(value);
        };
        queue.push({ dryRun: options?.dryRun === true, run, reject });
        schedule();
      }),
    onCommit: (listener) => void listeners.push(listener),
    close() {
      if (isClosed) return;
      while (queue.length > 0) flush();
      isClosed = true;
      file.close();
    },
  };
}

function runOne(ledger: Ledger, waiting: Waiting): () => void {
  const mark = ledger.changes.length;
  try {
    const answer = waiting.run(ledger.transaction);
    if (waiting.dryRun) ledger.rollBack(mark);
    return answer;
  } catch (error) {
    ledger.rollBack(mark);
    return () => waiting.reject(error);
  }
}

function createLedger(index: ObjectIndex, startVersion: number): Ledger {
  const changes: Change[] = [];
  let version = startVersion;
  const stamp = (place: ObjectPlace, object: ApiObject): StoredObject => {
    version += 1;
    const stamped = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    const { kind, namespace, name } = place;
    return { kind, namespace, name, version, object: stamped, json: JSON.stringify(stamped) };
  };
  return {
    changes,
    version: () => version,
    transaction: {
      ...index,
      put(place, object) {
        const after = stamp(place, object);
        const before = index.set(place, after);
        changes.push({ type: before === undefined ? 'ADDED' : 'MODIFIED', before, after });
        return after;
      },
      remove(place, last) {
        const after = stamp(place, last);
        changes.push({ type: 'DELETED', before: index.set(place, undefined), after });
        return after;
      },
    },
    rollBack(mark) {
      for (const { before, after } of changes.splice(mark).reverse()) {
        index.set(after, before);
        version = after.version - 1;
      }
    },
  };
}

function fileChange({ type, after }: Change): { place: ObjectPlace; row: StoredObject | undefined } {
  return { place: after, row: type === 'DELETED' ? undefined : after };
}

function loadOrClose(file: ObjectFile, index: ObjectIndex, kinds: ReadonlySet<string>): number {
  try {
    return load(file, index, kinds);
  } catch (error) {
    file.close();
    throw error;
  }
}

/** Fills the index with the kinds that are served; others stay on the disk untouched. Returns the version. */
function load(file: ObjectFile, index: ObjectIndex, kinds: ReadonlySet<string>): number {
  const { version, rows } = file.readAll();
  for (const row of rows) {
    if (!kinds.has(row.kind)) continue;
    index.set(row, { ...row, object: parseStored(row) });
  }
  return version;
}

/** It was an ApiObject when it was written. */
function parseStored({ kind, namespace, name, json }: ObjectRow): ApiObject {
  try {
    return asObject(JSON.parse(json)) as ApiObject;
  } catch {
    throw new Error(`The stored object ${kind} ${namespace}/${name} is damaged: it is no JSON any more.`);
  }
}
