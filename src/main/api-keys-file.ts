// Which file of API keys the router of `stoker up` gets. Beyond loopback nobody may ask without a key, so one is made
// there when the person named no file. The key is shown once, on the screen, and never logged.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Settings } from '../api/settings.ts';
import { isLoopback } from '../core/route/origin-rule.ts';
import { type DataFolder, readOrMakeToken } from './data-folder.ts';

export interface ApiKeysChoice {
  /** Undefined: callers on this machine need no key. */
  readonly file: string | undefined;
  /** The key that was just made. */
  readonly madeKey: string | undefined;
}

export function chooseApiKeysFile(settings: Settings, folder: DataFolder): ApiKeysChoice {
  if (settings.apiKeysFile !== undefined) return { file: resolve(settings.apiKeysFile), madeKey: undefined };
  if (isLoopback(settings.host ?? '127.0.0.1')) return { file: undefined, madeKey: undefined };
  const file = folder.secretFile('api-keys');
  const isNew = !existsSync(file);
  const key = readOrMakeToken(file);
  return { file, madeKey: isNew ? key : undefined };
}
