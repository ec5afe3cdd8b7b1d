// Tokens of ServiceAccounts, bound to a Pod: compact JWS with HMAC-SHA256 under a key of the data folder. Valid for an
// audience, until an end, and only while that very Pod exists. They open no door of this API: they are for the link.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { join } from 'node:path';
import { asObject, asText, isObject, type JsonObject, valueAt } from './json-value.ts';
import type { ObjectReader } from './object-index.ts';
import { readPrivateFile, writePrivateFile } from './private-file.ts';

const KEY_BYTES = 32;
const TOKEN_CHARS_MAX = 8192;
const ISSUER = 'https://stoker.local';
const HEADER = encodePart({ alg: 'HS256', typ: 'JWT' });

export interface PodTokenClaims {
  readonly namespace: string;
  readonly serviceAccount: { readonly name: string; readonly uid: string };
  readonly pod?: { readonly name: string; readonly uid: string };
  readonly audiences: readonly string[];
  readonly issuedAtSeconds: number;
  readonly expiresAtSeconds: number;
}

export interface PodTokenKey {
  sign(claims: PodTokenClaims): string;
  /** The claims when the signature holds; nothing else is checked. */
  open(token: string): PodTokenClaims | undefined;
}

export function loadPodTokenKey(folder: string): PodTokenKey {
  const path = join(folder, 'service-account.key');
  const kept = readPrivateFile(path);
  const text = kept ?? `${randomBytes(KEY_BYTES).toString('base64url')}\n`;
  if (kept === undefined) writePrivateFile(path, text);
  const key = Buffer.from(text.trim(), 'base64url');
  const signatureOf = (body: string) => createHmac('sha256', key).update(body).digest();
  return {
    sign(claims) {
      const body = `${HEADER}.${encodePart(renderClaims(claims))}`;
      return `${body}.${signatureOf(body).toString('base64url')}`;
    },
    open(token) {
      if (token.length > TOKEN_CHARS_MAX) return undefined;
      const [header, payload, signature, ...rest] = token.split('.');
      if (header !== HEADER || payload === undefined || signature === undefined || rest.length > 0) return undefined;
      const given = Buffer.from(signature, 'base64url');
      const expected = signatureOf(`${header}.${payload}`);
      if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
      return parseClaims(payload);
    },
  };
}

/** Whether a token with these claims is good now, for one of the audiences that is returned; undefined when not. */
export function acceptedAudiences(
  claims: PodTokenClaims,
  wanted: readonly string[],
  { objects, wallMs }: { objects: ObjectReader; wallMs: number },
): readonly string[] | undefined {
  const { namespace, serviceAccount, pod } = claims;
  if (wallMs >= claims.expiresAtSeconds * 1000) return undefined;
  const account = objects.get({ kind: 'serviceaccounts', namespace, name: serviceAccount.name });
  if (account?.object.metadata.uid !== serviceAccount.uid) return undefined;
  if (pod !== undefined) {
    const stored = objects.get({ kind: 'pods', namespace, name: pod.name });
    if (stored?.object.metadata.uid !== pod.uid) return undefined;
  }
  const audiences = wanted.filter((audience) => claims.audiences.includes(audience));
  return audiences.length === 0 ? undefined : audiences;
}

function encodePart(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

export function userOfServiceAccount(namespace: string, name: string): string {
  return `system:serviceaccount:${namespace}:${name}`;
}

function renderClaims({
  namespace,
  serviceAccount,
  pod,
  audiences,
  issuedAtSeconds,
  expiresAtSeconds,
}: PodTokenClaims) {
  return {
    iss: ISSUER,
    aud: audiences,
    iat: issuedAtSeconds,
    nbf: issuedAtSeconds,
    exp: expiresAtSeconds,
    sub: userOfServiceAccount(namespace, serviceAccount.name),
    'kubernetes.io': { namespace, serviceaccount: serviceAccount, ...(pod === undefined ? {} : { pod }) },
  };
}

/** The signature holds, so these are our own claims; an older form is refused all the same. */
function parseClaims(payload: string): PodTokenClaims | undefined {
  const claims = parsePayload(payload);
  const bound = asObject(claims['kubernetes.io']);
  const namespace = asText(bound.namespace);
  const serviceAccount = namedUid(bound.serviceaccount);
  const pod = namedUid(bound.pod);
  const { iat, exp, aud } = claims;
  if (namespace === undefined || serviceAccount === undefined || typeof iat !== 'number' || typeof exp !== 'number')
    return undefined;
  return {
    namespace,
    serviceAccount,
    ...(pod === undefined ? {} : { pod }),
    audiences: Array.isArray(aud) ? aud.map(String) : [],
    issuedAtSeconds: iat,
    expiresAtSeconds: exp,
  };
}

function parsePayload(payload: string): JsonObject {
  try {
    return asObject(JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')));
  } catch {
    return {};
  }
}

function namedUid(value: unknown): { name: string; uid: string } | undefined {
  const name = asText(valueAt(value, ['name']));
  const uid = asText(valueAt(value, ['uid']));
  return isObject(value) && name !== undefined && uid !== undefined ? { name, uid } : undefined;
}
