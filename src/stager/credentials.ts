// How a request to a source is signed: a bearer token, the signature of S3, or the token that a registry hands out. Owns the
// secret values; they go to the origin that was configured and to no other. They appear in no error.
import { createHash, createHmac } from 'node:crypto';
import type { SourceKind } from '../api/file-set.ts';
import type { Clock } from '../lib/clock.ts';

/** What a Secret may hold. Which of it is used depends on the source. */
export interface Credentials {
  readonly token?: string;
  readonly username?: string;
  readonly password?: string;
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  readonly sessionToken?: string;
}

export interface Signer {
  readonly source: SourceKind;
  readonly region: string;
  readonly credentials: Credentials;
  readonly clock: Clock;
}

export type Headers = Readonly<Record<string, string>>;

/** The headers that prove who asks, for one GET or HEAD. Empty without credentials: the source may be open. */
export function signHeaders(signer: Signer, request: { method: string; url: URL; headers: Headers }): Headers {
  const { source, credentials } = signer;
  if (source === 'S3') return signS3(signer, request);
  // A registry is asked first, and says where its tokens are had.
  if (source === 'Oci') return {};
  if (credentials.token !== undefined) return { authorization: `Bearer ${credentials.token}` };
  return basicHeaders(credentials);
}

export function basicHeaders({ username, password }: Credentials): Headers {
  if (username === undefined || password === undefined) return {};
  return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
}

/** The digest of no body. */
const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** Signature version 4 in the Authorization header, as the S3 API reference describes it. */
function signS3(
  { credentials, region, clock }: Signer,
  { method, url, headers }: { method: string; url: URL; headers: Headers },
): Headers {
  const { accessKeyId, secretAccessKey, sessionToken } = credentials;
  if (accessKeyId === undefined || secretAccessKey === undefined) return {};
  const time = new Date(clock.wallMs()).toISOString().replace(/[-:]|\.\d{3}/g, '');
  const added: Record<string, string> = {
    'x-amz-content-sha256': EMPTY_SHA256,
    'x-amz-date': time,
    ...(sessionToken === undefined ? {} : { 'x-amz-security-token': sessionToken }),
  };
  const signed = Object.entries({ ...headers, ...added, host: url.host }).sort(([a], [b]) => (a < b ? -1 : 1));
  const names = signed.map(([name]) => name).join(';');
  const canonical = [
    method,
    canonicalPath(url),
    canonicalQuery(url),
    ...signed.map(([name, value]) => `${name}:${value.trim()}`),
    '',
    names,
    EMPTY_SHA256,
  ].join('\n');
  const scope = `${time.slice(0, 8)}/${region}/s3/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', time, scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
  const key = scope.split('/').reduce<string | Buffer>((last, part) => hmac(last, part), `AWS4${secretAccessKey}`);
  const signature = hmac(key, toSign).toString('hex');
  return {
    ...added,
    authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope},SignedHeaders=${names},Signature=${signature}`,
  };
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function canonicalPath(url: URL): string {
  return url.pathname
    .split('/')
    .map((part) => encode(decodeURIComponent(part)))
    .join('/');
}

function canonicalQuery(url: URL): string {
  return [...url.searchParams]
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&');
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
