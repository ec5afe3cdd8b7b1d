// The keys that callers may use, read from a file: one on each line, alone or as `tenant: key`. Keeps digests only,
// and looks them up: how long that takes may say something about the digest of what was presented, which tells nobody a key.
// Never logs, reports or returns a key; a fault names the line, not what is on it.
import { createHash } from 'node:crypto';
import { fail, ok, type Result } from '../lib/result.ts';

export interface ApiKeys {
  /** The tenant whose key the Authorization header carries; undefined when it carries none of ours. */
  tenantOf(authorization: string | undefined): string | undefined;
  /** The same for a key that stands alone. */
  find(key: string): KnownKey | undefined;
  /** Whether a key that was found before is still one of ours, and the same tenant's. */
  has(known: KnownKey): boolean;
}

/** A key that was found, without the key. */
export interface KnownKey {
  readonly tenant: string;
  /** SHA-256, in hex. */
  readonly digest: string;
}

/** Keys that can be replaced while the router runs. */
export interface KeyRing extends ApiKeys {
  replace(keys: ApiKeys): void;
}

export function createKeyRing(first: ApiKeys): KeyRing {
  let keys = first;
  return {
    tenantOf: (authorization) => keys.tenantOf(authorization),
    find: (key) => keys.find(key),
    has: (known) => keys.has(known),
    replace(next) {
      keys = next;
    },
  };
}

/** The tenant of a key that stands alone on its line, and of everybody where no keys are configured. */
export const DEFAULT_TENANT = 'default';
const KEYS_MAX = 10_000;
const KEY_CHARS_MIN = 8;
const KEY_CHARS_MAX = 256;
/** A longer header is not hashed. */
const AUTHORIZATION_CHARS_MAX = 1024;
const TENANT = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const KEY = /^[\x21-\x7e]+$/;

/** Empty lines and lines that start with # are passed over. Fails with a sentence that names the line. */
export function parseApiKeysFile(text: string): Result<ApiKeys, string> {
  const tenants = new Map<string, string>();
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const row = parseLine(line);
    if (!row.ok) return fail(`line ${index + 1}: ${row.error}`);
    const { digest, tenant } = row.value;
    if (tenants.has(digest)) return fail(`line ${index + 1}: this key is there twice.`);
    if (tenants.size >= KEYS_MAX) return fail(`there are more than ${KEYS_MAX} keys.`);
    tenants.set(digest, tenant);
  }
  if (tenants.size === 0) return fail('it holds no key. Put one on a line, alone or as `tenant: key`.');
  return ok(keysOf(tenants));
}

function parseLine(line: string): Result<KnownKey, string> {
  const split = /^([^:\s]*):\s+(.*)$/.exec(line);
  const tenant = split?.[1] ?? DEFAULT_TENANT;
  const key = split?.[2] ?? line;
  if (!TENANT.test(tenant)) return fail('the name of a tenant has letters, digits, dots, dashes and underscores only.');
  if (!KEY.test(key)) return fail('a key has no spaces and no characters outside ASCII.');
  if (key.length < KEY_CHARS_MIN || key.length > KEY_CHARS_MAX) {
    return fail(`a key has ${KEY_CHARS_MIN} to ${KEY_CHARS_MAX} characters.`);
  }
  return ok({ tenant, digest: digestOf(key) });
}

/** `tenants` by the digest of their key. */
function keysOf(tenants: ReadonlyMap<string, string>): ApiKeys {
  return {
    tenantOf(authorization) {
      const key = bearerKey(authorization);
      return key === undefined ? undefined : tenants.get(digestOf(key));
    },
    find(key) {
      const digest = digestOf(key);
      const tenant = tenants.get(digest);
      return tenant === undefined ? undefined : { tenant, digest };
    },
    has: ({ digest, tenant }) => tenants.get(digest) === tenant,
  };
}

/** The key of an Authorization header; undefined when it has none, or is too long to be looked at. */
export function bearerKey(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length > AUTHORIZATION_CHARS_MAX) return undefined;
  return /^bearer +(.+)$/i.exec(authorization)?.[1]?.trim();
}

function digestOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}
