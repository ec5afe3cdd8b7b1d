// Which name and password a registry is shown: looked for in the Secrets that nodes pull images with, by the rules of the
// kubelet. A login goes to the registry that its entry names and to no other. No value of a Secret leaves in a sentence.
import { z } from 'zod';
import { DEFAULT_REGISTRY, type TaggedImage } from '../api/engine-image.ts';
import { kinds, type Secret } from '../api/kinds.ts';
import { isJsonObject, parseJsonObject } from '../lib/json-text.ts';
import type { Cluster } from '../ports/cluster.ts';
import type { RegistryLogin } from '../ports/images.ts';

export interface FoundLogin {
  readonly login: RegistryLogin;
  /** The Secret that it stands in. */
  readonly secretName: string;
}

export interface LoginSearch {
  readonly found: FoundLogin | undefined;
  /** Secrets that are named and could not be read. */
  readonly unread: readonly string[];
}

const entrySchema = z.object({
  username: z.string().optional(),
  password: z.string().optional(),
  /** base64 of NAME:PASSWORD. */
  auth: z.string().optional(),
});

/** Reads the Secrets in their order; of one Secret the entry that names the most of the image is taken. */
export async function findLogin(
  image: TaggedImage,
  secretNames: readonly string[],
  { cluster, signal }: { readonly cluster: Cluster; readonly signal: AbortSignal },
): Promise<LoginSearch> {
  const unread: string[] = [];
  for (const secretName of secretNames) {
    const secret = await cluster.read(kinds.Secret, secretName, signal);
    signal.throwIfAborted();
    const login = secret.ok ? loginIn(secret.value, image) : undefined;
    if (login !== undefined) return { found: { login, secretName }, unread };
    if (!secret.ok) unread.push(secretName);
  }
  return { found: undefined, unread };
}

function loginIn({ data = {} }: Secret, image: TaggedImage): RegistryLogin | undefined {
  const parse = (text: string | undefined) => parseJsonObject(Buffer.from(text ?? '', 'base64').toString('utf8'));
  const entries = parse(data['.dockerconfigjson'])?.auths ?? parse(data['.dockercfg']);
  if (!isJsonObject(entries)) return undefined;
  const fitting = Object.entries(entries)
    .map(([key, entry]) => ({ place: placeOf(key), login: readEntry(entry) }))
    .filter(({ place }) => covers(place, image))
    .sort((a, b) => b.place.length - a.place.length);
  return fitting.find(({ login }) => login !== undefined)?.login;
}

/** `HOST` or `HOST/PATH` of an entry, which tools write as an address with the version of the API, too. */
function placeOf(key: string): string {
  const place = key.replace(/^https?:\/\//, '').replace(/\/(v[12]\/?)?$/, '');
  const [host = '', ...path] = place.split('/');
  const isHub = host === `index.${DEFAULT_REGISTRY}` || host === `registry-1.${DEFAULT_REGISTRY}`;
  return [isHub ? DEFAULT_REGISTRY : host, ...path].join('/');
}

/** A part of the host may be `*`. The path covers what lies below it. */
function covers(place: string, { registry, repository }: TaggedImage): boolean {
  const [host = '', ...path] = place.split('/');
  const [wanted, given] = [host.split('.'), registry.split('.')];
  const isHost = wanted.length === given.length && wanted.every((part, at) => part === '*' || part === given[at]);
  const segments = repository.split('/');
  return isHost && path.every((part, at) => part === segments[at]);
}

function readEntry(entry: unknown): RegistryLogin | undefined {
  const { username, password, auth } = entrySchema.safeParse(entry).data ?? {};
  if (username !== undefined && password !== undefined) return { username, password };
  const [, name, secret] = /^([^:]+):(.+)$/s.exec(Buffer.from(auth ?? '', 'base64').toString('utf8')) ?? [];
  return name === undefined || secret === undefined ? undefined : { username: name, password: secret };
}
