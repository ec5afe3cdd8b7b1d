// A release of Stoker that differs from this tree in its number: the same sources under another version, in a folder of its
// own. Whoever asks for it removes it.
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../../..');

export interface OtherRelease {
  readonly entryPoint: string;
  remove(): void;
}

export function makeOtherRelease(version: string): OtherRelease {
  const folder = mkdtempSync(join(tmpdir(), 'stoker-release-'));
  for (const name of ['src', 'models', 'manifests']) cpSync(join(root, name), join(folder, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  const about = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...about, version }));
  return {
    entryPoint: join(folder, 'src/main/stoker.ts'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
