// The keys that the data path accepts, and how a presented one is compared: in constant time, against every key.
// Never logged, never reported: only their versions are.
import { createHash, timingSafeEqual } from 'node:crypto';

export interface SlotKeys {
  replace(keys: readonly { readonly version: number; readonly key: string }[]): void;
  /** Versions that are accepted, ascending. */
  versions(): number[];
  /** Whether the authorization header carries an accepted key. */
  accepts(authorization: string | undefined): boolean;
}

const SCHEME = 'Bearer ';

export function createSlotKeys(): SlotKeys {
  let accepted: readonly { version: number; digest: Buffer }[] = [];
  return {
    replace(keys) {
      accepted = keys.map(({ version, key }) => ({ version, digest: digestOf(key) }));
    },
    versions: () => accepted.map(({ version }) => version).sort((a, b) => a - b),
    accepts(authorization) {
      if (authorization?.startsWith(SCHEME) !== true) return false;
      const presented = digestOf(authorization.slice(SCHEME.length));
      let isAccepted = false;
      for (const { digest } of accepted) isAccepted = timingSafeEqual(digest, presented) || isAccepted;
      return isAccepted;
    },
  };
}

/** Digests have one length, whatever is presented. */
function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
