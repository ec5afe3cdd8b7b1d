// The release of this build and where its files are. Reads package.json once.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The folder that holds package.json, models and manifests. */
export const packageFolder = fileURLToPath(new URL('../..', import.meta.url));

export const release: string = readRelease();

function readRelease(): string {
  const parsed: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  if (typeof parsed === 'object' && parsed !== null && 'version' in parsed && typeof parsed.version === 'string')
    return parsed.version;
  throw new Error('package.json has no version.');
}
