// The objects on disk: one SQLite file in write-ahead mode, read once at start and written in whole transactions. Each
// call blocks for well under a millisecond per object. Knows nothing of what objects mean.
import { DatabaseSync, type StatementSync } from 'node:sqlite';

/** Where an object is: `kind` is a resource name, `namespace` is empty for kinds of the whole cluster. */
export interface ObjectPlace {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export interface ObjectRow extends ObjectPlace {
  readonly version: number;
  readonly json: string;
}

export interface FileChange {
  readonly place: ObjectPlace;
  /** Undefined: the object is gone. */
  readonly row: ObjectRow | undefined;
}

export interface ObjectFile {
  /** Throws an Error with a sentence when the file is damaged. */
  readAll(): { readonly version: number; readonly rows: readonly ObjectRow[] };
  /** All of it or nothing; throws when the disk refuses. */
  write(changes: readonly FileChange[], version: number): void;
  close(): void;
}

/** Raised when the tables change; a file of a newer Stoker is refused. */
const LAYOUT = 1;

/** Throws an Error with a sentence when the file cannot be used. */
export function openObjectFile(path: string): ObjectFile {
  const database = open(path);
  const upsert = database.prepare(
    'INSERT INTO objects (kind, namespace, name, version, json) VALUES (?, ?, ?, ?, ?) ' +
      'ON CONFLICT DO UPDATE SET version = excluded.version, json = excluded.json',
  );
  const remove = database.prepare('DELETE FROM objects WHERE kind = ? AND namespace = ? AND name = ?');
  const setVersion = database.prepare('UPDATE counter SET version = ?');
  const apply = ({ place, row }: FileChange) => {
    if (row === undefined) remove.run(place.kind, place.namespace, place.name);
    else upsert.run(row.kind, row.namespace, row.name, row.version, row.json);
  };
  return {
    readAll() {
      try {
        return readAll(database);
      } catch (error) {
        throw openingError(path, error);
      }
    },
    write(changes, version) {
      database.exec('BEGIN IMMEDIATE');
      try {
        for (const change of changes) apply(change);
        setVersion.run(version);
        database.exec('COMMIT');
      } catch (error) {
        if (database.isTransaction) database.exec('ROLLBACK');
        throw error;
      }
    },
    close: () => database.close(),
  };
}

function open(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;');
    const layout = Number(database.prepare('PRAGMA user_version').get()?.user_version ?? 0);
    if (layout > LAYOUT)
      throw new Error(`it was written by a newer Stoker (layout ${layout}, this one knows ${LAYOUT})`);
    database.exec(
      `BEGIN EXCLUSIVE;
       CREATE TABLE IF NOT EXISTS objects (
         kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, json TEXT NOT NULL,
         PRIMARY KEY (kind, namespace, name)
       ) WITHOUT ROWID, STRICT;
       CREATE TABLE IF NOT EXISTS counter (version INTEGER NOT NULL) STRICT;
       INSERT INTO counter (version) SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM counter);
       PRAGMA user_version = ${LAYOUT};
       COMMIT;`,
    );
    return database;
  } catch (error) {
    database.close();
    throw openingError(path, error);
  }
}

function openingError(path: string, error: unknown): Error {
  const sentence = error instanceof Error ? error.message : String(error);
  return sentence.includes('database is locked')
    ? new Error(`Another process uses ${path}. Stop it, or choose another data folder.`)
    : new Error(
        `The objects in ${path} cannot be read: ${sentence}. Put back a copy of the file, or move it away to begin with nothing.`,
      );
}

function readAll(database: DatabaseSync): { version: number; rows: ObjectRow[] } {
  const counter = database.prepare('SELECT version FROM counter').get();
  const select: StatementSync = database.prepare('SELECT kind, namespace, name, version, json FROM objects');
  const rows = [...select.iterate()].map((row) => ({
    kind: String(row.kind),
    namespace: String(row.namespace),
    name: String(row.name),
    version: Number(row.version),
    json: String(row.json),
  }));
  return { version: Number(counter?.version ?? 0), rows };
}
