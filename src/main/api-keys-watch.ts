// Looks at the file of API keys every few seconds, so that a key can be added or taken away while the router runs. A file
// that cannot be used changes nothing: the keys that were read last go on, and the log says what is wrong.
import { readFile } from 'node:fs/promises';
import { type Clock, every, type Timer } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { type ApiKeys, parseApiKeysFile } from '../router/api-keys.ts';

/** Polled: file events do not come for a Secret that a kubelet mounted, which is a link to a folder that is swapped. */
const LOOK_EVERY_MS = 2000;

export interface ApiKeysWatch {
  readonly path: string;
  /** What the file held at the start. */
  readonly text: string;
  readonly clock: Clock;
  readonly log: Log;
  onChange(keys: ApiKeys): void;
}

/** Never more than one reading at a time. */
export function watchApiKeys(watch: ApiKeysWatch): Timer {
  let seen = watch.text;
  let isReading = false;
  const look = async () => {
    const text = await readText(watch);
    if (text === undefined || text === seen) return;
    seen = text;
    const keys = parseApiKeysFile(text);
    if (keys.ok) {
      watch.onChange(keys.value);
      watch.log.info({ path: watch.path }, 'the API keys were read again');
    } else
      watch.log.error({ path: watch.path, why: keys.error }, 'the API keys file is not usable; the keys before stay');
  };
  return every(
    watch.clock,
    LOOK_EVERY_MS,
    () => {
      if (isReading) return;
      isReading = true;
      void look().finally(() => {
        isReading = false;
      });
    },
    { background: true },
  );
}

async function readText({ path, log }: ApiKeysWatch): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    log.error({ path, why }, 'the API keys file cannot be read; the keys before stay');
    return undefined;
  }
}
