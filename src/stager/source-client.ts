// Asks a source for bytes: one GET with its signature, redirects and time limits, and what the answer's status means. Follows
// a redirect only to https or within the same origin, and sends no credential to another origin. Retries nothing itself.
import { Agent, type Dispatcher } from 'undici';
import { z } from 'zod';
import { isRefusedAddress, literalHost } from '../api/upstream-address.ts';
import { parseJson } from '../lib/json-text.ts';
import { basicHeaders, type Headers, type Signer, signHeaders } from './credentials.ts';
import { StageError, shownUrl } from './stage-error.ts';

const CONNECT_MS_MAX = 10_000;
/** Until the head of an answer, and between two pieces of its body: a source that is slower than that is given up. */
const SILENCE_MS_MAX = 30_000;
const CONNECTIONS_MAX = 16;
const REDIRECTS_MAX = 5;
const RETRY_AFTER_MS_MAX = 300_000;
const TOKEN_BYTES_MAX = 64 * 1024;

export interface SourceAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: AsyncIterable<Uint8Array> & { destroy(): void };
}

export interface Ask {
  readonly url: string;
  readonly method?: 'GET' | 'HEAD';
  readonly headers?: Headers;
}

export interface SourceClient {
  /** Resolves with 200 or 206. Rejects with StageError, or with the reason of `signal`. */
  ask(what: Ask, signal: AbortSignal): Promise<SourceAnswer>;
  close(): Promise<void>;
}

export interface SourceClientOptions extends Signer {
  readonly silenceMsMax?: number;
}

export function createSourceClient(options: SourceClientOptions): SourceClient {
  const silenceMs = options.silenceMsMax ?? SILENCE_MS_MAX;
  const agent = new Agent({
    connections: CONNECTIONS_MAX,
    connect: { timeout: CONNECT_MS_MAX },
    headersTimeout: silenceMs,
    bodyTimeout: silenceMs,
  });
  return new Client(options, agent);
}

class Client implements SourceClient {
  readonly #signer: Signer;
  readonly #agent: Agent;
  /** Of registries, by repository: the Authorization header that it takes. */
  readonly #granted = new Map<string, string>();

  constructor(signer: Signer, agent: Agent) {
    this.#signer = signer;
    this.#agent = agent;
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }

  async ask(what: Ask, signal: AbortSignal): Promise<SourceAnswer> {
    const home = new URL(what.url).origin;
    let url = new URL(what.url);
    for (let hops = 0; hops <= REDIRECTS_MAX; hops += 1) {
      const answer = await this.#askSigned(what, { url, isHome: url.origin === home }, signal);
      if (answer.status < 300) return answer;
      answer.body.destroy();
      const next = nextUrl(url, answer);
      if (next === undefined) throw refusal(answer, url);
      url = next;
    }
    throw new StageError('SourceRefused', `${shownUrl(what.url)} was redirected more than ${REDIRECTS_MAX} times.`);
  }

  async #askSigned(
    { method = 'GET', headers = {} }: Ask,
    { url, isHome }: { url: URL; isHome: boolean },
    signal: AbortSignal,
  ): Promise<SourceAnswer> {
    const plain = { ...headers, 'accept-encoding': 'identity' };
    const signed = isHome ? signHeaders(this.#signer, { method, url, headers: plain }) : {};
    const known = isHome ? this.#knownGrant(url) : {};
    const first = await this.#send(url, { method, headers: { ...plain, ...signed, ...known } }, signal);
    if (first.status !== 401 || !isHome || this.#signer.source !== 'Oci') return first;
    first.body.destroy();
    const authorization = this.#basicGrant(first) ?? `Bearer ${await this.#fetchToken(url, first, signal)}`;
    this.#granted.set(repositoryOf(url), authorization);
    return this.#send(url, { method, headers: { ...plain, authorization } }, signal);
  }

  #knownGrant(url: URL): Headers {
    const authorization = this.#granted.get(repositoryOf(url));
    return authorization === undefined ? {} : { authorization };
  }

  /** Small registries ask for name and password at once, without a service that hands out tokens. */
  #basicGrant({ headers }: SourceAnswer): string | undefined {
    const isAsked = /^basic\b/i.test(String(headers['www-authenticate'] ?? ''));
    return isAsked ? basicHeaders(this.#signer.credentials).authorization : undefined;
  }

  /** As the distribution specification's token authentication has it. */
  async #fetchToken(url: URL, refused: SourceAnswer, signal: AbortSignal): Promise<string> {
    const realm = tokenAddress(String(refused.headers['www-authenticate'] ?? ''));
    if (realm === undefined || !mayLeadTo(realm, url)) throw refusal(refused, url);
    const answer = await this.#send(realm, { method: 'GET', headers: basicHeaders(this.#signer.credentials) }, signal);
    if (answer.status !== 200) {
      answer.body.destroy();
      throw refusal(answer, realm);
    }
    const said = z
      .object({ token: z.string().optional(), access_token: z.string().optional() })
      .safeParse(parseJson(await readText(answer, TOKEN_BYTES_MAX)));
    const token = said.data?.token ?? said.data?.access_token;
    if (token === undefined) throw new StageError('SourceRefused', `${shownUrl(realm.href)} gave no token.`);
    return token;
  }

  async #send(
    url: URL,
    { method, headers }: { method: 'GET' | 'HEAD'; headers: Headers },
    signal: AbortSignal,
  ): Promise<SourceAnswer> {
    const options: Dispatcher.RequestOptions = {
      origin: url.origin,
      path: url.pathname + url.search,
      method,
      headers,
      signal,
    };
    try {
      const { statusCode: status, headers: answered, body } = await this.#agent.request(options);
      // What is destroyed early may still report an error, which nobody waits for.
      body.on('error', () => {});
      return { status, headers: answered, body };
    } catch (error) {
      signal.throwIfAborted();
      throw unreachable(url, error);
    }
  }
}

/** A cut, a silence or a refused connection: all of them may pass. */
export function unreachable(url: URL, error: unknown): StageError {
  const why = error instanceof Error ? error.message : String(error);
  return new StageError('SourceUnreachable', `${shownUrl(url.href)} could not be read: ${why}.`, {});
}

/** Where a redirect leads; undefined when the answer is none, or leads from https to http. */
export function nextUrl(from: URL, { status, headers }: Pick<SourceAnswer, 'status' | 'headers'>): URL | undefined {
  const location = headers.location;
  if (![301, 302, 303, 307, 308].includes(status) || typeof location !== 'string') return undefined;
  if (!URL.canParse(location, from.href)) return undefined;
  const next = new URL(location, from);
  return mayLeadTo(next, from) && next.username === '' && next.password === '' ? next : undefined;
}

/** Where a source may send whoever asks it: to https or its own origin, and to no address that serves a cloud's metadata. */
function mayLeadTo(next: URL, from: URL): boolean {
  const host = literalHost(next);
  if (host !== undefined && isRefusedAddress(host)) return false;
  return next.protocol === 'https:' || (next.protocol === 'http:' && next.origin === from.origin);
}

function refusal({ status, headers }: SourceAnswer, url: URL): StageError {
  const shown = shownUrl(url.href);
  if (status === 401 || status === 403) {
    const message = `${shown} refuses access (${status}). Name a Secret with the right credentials in credentialsSecretName.`;
    return new StageError('AccessDenied', message);
  }
  if (status === 404 || status === 410) {
    return new StageError('FilesMissing', `${shown} is not there (${status}). Check the name and the revision.`);
  }
  if (status === 429 || status === 408 || status >= 500) {
    const message = `${shown} answered ${status}. It is asked again.`;
    return new StageError('SourceUnreachable', message, { retryAfterMs: readRetryAfter(headers['retry-after']) });
  }
  if (status >= 300 && status < 400) {
    return new StageError(
      'SourceRefused',
      `${shown} redirects to another host without https, or nowhere. That is not followed.`,
    );
  }
  return new StageError('SourceRefused', `${shown} answered ${status}.`);
}

/** Seconds only: the other form is a date by somebody else's clock. */
function readRetryAfter(value: string | string[] | undefined): number | undefined {
  if (typeof value !== 'string' || !/^[0-9]{1,9}$/.test(value)) return undefined;
  return Math.min(Number(value) * 1000, RETRY_AFTER_MS_MAX);
}

/** The address of the token service with its query, from `Bearer realm="…",service="…",scope="…"`. */
function tokenAddress(challenge: string): URL | undefined {
  if (challenge.length > 4096 || !/^bearer /i.test(challenge)) return undefined;
  const fields = new Map([...challenge.matchAll(/([a-z]+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));
  const realm = fields.get('realm') ?? '';
  if (!/^https?:/.test(realm) || !URL.canParse(realm)) return undefined;
  const address = new URL(realm);
  for (const name of ['service', 'scope']) {
    const value = fields.get(name);
    if (value !== undefined) address.searchParams.set(name, value);
  }
  return address;
}

/** Tokens of registries are for one repository: what comes before its blobs and manifests. */
function repositoryOf(url: URL): string {
  return url.origin + url.pathname.replace(/\/(blobs|manifests)\/[^/]*$/, '');
}

/** The text of an answer, bounded. */
export async function readText(answer: SourceAnswer, bytesMax: number): Promise<string> {
  return (await readBytes(answer, bytesMax)).toString('utf8');
}

export async function readBytes({ body }: SourceAnswer, bytesMax: number): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of body) {
    size += piece.length;
    if (size > bytesMax) {
      body.destroy();
      throw new StageError('SourceRefused', `An answer has more than ${bytesMax} bytes, which is more than is read.`);
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}
