// Finds and reads the files that `apply -f` names: a file, every manifest of a folder, or standard input. A file that
// cannot be read becomes a complaint, so that the others are still applied. Bounded by FILES_MAX and FILE_BYTES_MAX.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';

export interface ManifestFile {
  readonly name: string;
  readonly text: string;
}

export interface ManifestFiles {
  readonly files: readonly ManifestFile[];
  /** Sentences about what cannot be read. */
  readonly complaints: readonly string[];
}

const STANDARD_INPUT = '-';
const FILES_MAX = 1000;
const FILE_BYTES_MAX = 4 * 1024 * 1024;
const extensions = new Set(['.yaml', '.yml', '.json']);

export function readManifestFiles(names: readonly string[]): ManifestFiles {
  const files: ManifestFile[] = [];
  const complaints: string[] = [];
  for (const name of names) {
    try {
      for (const path of expand(name)) files.push(readOne(path));
      if (files.length > FILES_MAX) throw new Error(`there are more than ${FILES_MAX} files`);
    } catch (error) {
      complaints.push(`${name} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { files, complaints };
}

/** A folder stands for its manifests, in name order, not for those of its subfolders. */
function expand(name: string): string[] {
  if (name === STANDARD_INPUT || !statSync(name).isDirectory()) return [name];
  const found = readdirSync(name).filter((entry) => extensions.has(extname(entry)));
  if (found.length === 0) throw new Error('the folder has no .yaml, .yml or .json file');
  return found.sort().map((entry) => join(name, entry));
}

function readOne(path: string): ManifestFile {
  if (path === STANDARD_INPUT) return { name: 'standard input', text: readFileSync(0, 'utf8') };
  const { size } = statSync(path);
  if (size > FILE_BYTES_MAX) throw new Error(`${path} has ${size} bytes; at most ${FILE_BYTES_MAX} are read`);
  return { name: path, text: readFileSync(path, 'utf8') };
}
