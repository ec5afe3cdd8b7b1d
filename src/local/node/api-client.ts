// The node's calls to the Kubernetes API over HTTPS: list and watch of Pods with resume, and the few writes of a kubelet.
// Every call is bounded in time and size. Translates answers once; nobody else sees a status code.
import { Agent, type Dispatcher } from 'undici';
import { z } from 'zod';
import type { Pod, Secret } from '../../api/kinds.ts';
import { backoffDelayMs } from '../../lib/backoff.ts';
import { type Clock, delay } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { fail, ok, type Result } from '../../lib/result.ts';
import type { Rng } from '../../lib/rng.ts';
import { API_BACKOFF } from './bounds.ts';
import type { NodeApi, NodeApiError, NodeApiResult, PodEvents, PodRef } from './node-api.ts';
import { isPod } from './pod-schema.ts';

export interface NodeApiOptions {
  readonly url: string;
  /** The certificate authority of the server. */
  readonly caPem: string;
  readonly token: string;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
}

const CALL_MS_MAX = 10_000;
/** A watch that is silent for this long is opened again; the server sends bookmarks meanwhile. */
const WATCH_SILENCE_MS_MAX = 120_000;
const WATCH_SECONDS = 280;
/** A watch that lived this long was a success, however it ended. */
const WATCH_SETTLED_MS = 1000;
const LIST_PAGE = 500;
/** The largest answer, and the largest line of a watch. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

export function createNodeApi(options: NodeApiOptions): NodeApi {
  const agent = new Agent({ connect: { ca: options.caPem, timeout: CALL_MS_MAX }, headersTimeout: CALL_MS_MAX });
  const connection: Connection = { ...options, agent };
  return {
    followPods: (events, signal) => followPods(connection, events, signal),
    async readSecret(namespace, name, signal) {
      const answer = await call(connection, { method: 'GET', path: pathOf(namespace, 'secrets', name), signal });
      if (!answer.ok) return answer;
      const secret = secretSchema.safeParse(answer.value);
      return secret.success ? ok(asSecret(namespace, name, secret.data.data)) : fail(garbled('a Secret'));
    },
    async patchPodStatus(ref, status, signal) {
      const path = `${pathOf(ref.namespace, 'pods', ref.name)}/status`;
      const body = { metadata: { uid: ref.uid }, status };
      return dropValue(await call(connection, { method: 'PATCH', path, body, signal }));
    },
    async removePod(ref, signal) {
      const path = pathOf(ref.namespace, 'pods', ref.name);
      const body = { kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds: 0, preconditions: { uid: ref.uid } };
      return dropValue(await call(connection, { method: 'DELETE', path, body, signal }));
    },
    async requestToken(ref, wanted, signal) {
      const path = `${pathOf(ref.namespace, 'serviceaccounts', wanted.serviceAccountName)}/token`;
      const answer = await call(connection, { method: 'POST', path, body: tokenRequest(ref, wanted), signal });
      if (!answer.ok) return answer;
      const token = tokenSchema.safeParse(answer.value);
      if (!token.success) return fail(garbled('a TokenRequest'));
      const expiresAtMs = Date.parse(token.data.status.expirationTimestamp);
      const expiresInSeconds = Math.max(0, (expiresAtMs - options.clock.wallMs()) / 1000);
      return ok({ token: token.data.status.token, expiresInSeconds });
    },
    close: () => agent.destroy(),
  };
}

interface Connection extends NodeApiOptions {
  readonly agent: Agent;
}

interface Call {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body?: object;
  readonly signal: AbortSignal;
}

const secretSchema = z.looseObject({ data: z.record(z.string(), z.string()).optional() });
const tokenSchema = z.looseObject({
  status: z.looseObject({ token: z.string().min(1), expirationTimestamp: z.iso.datetime() }),
});
const listSchema = z.looseObject({
  metadata: z.looseObject({ resourceVersion: z.string(), continue: z.string().optional() }),
  items: z.array(z.unknown()).nullable(),
});
const eventSchema = z.looseObject({ type: z.string(), object: z.looseObject({}) });
const versionSchema = z.looseObject({ metadata: z.looseObject({ resourceVersion: z.string() }) });
const failureSchema = z.looseObject({ message: z.string() });

function asSecret(namespace: string, name: string, data: Record<string, string> | undefined): Secret {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { namespace, name }, ...(data === undefined ? {} : { data }) };
}

function tokenRequest(ref: PodRef, wanted: { audience: string; expirationSeconds: number }): object {
  const boundObjectRef = { apiVersion: 'v1', kind: 'Pod', name: ref.name, uid: ref.uid };
  const { audience, expirationSeconds } = wanted;
  return {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { audiences: [audience], expirationSeconds, boundObjectRef },
  };
}

function pathOf(namespace: string, plural: string, name: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/${plural}/${encodeURIComponent(name)}`;
}

function open(
  connection: Connection,
  { method, path, body, signal }: Call,
  bodyTimeout: number,
): Promise<Dispatcher.ResponseData> {
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  return connection.agent.request({
    origin: connection.url,
    path,
    method,
    signal,
    bodyTimeout,
    headers: {
      authorization: `Bearer ${connection.token}`,
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': type }),
    },
    body: body === undefined ? null : JSON.stringify(body),
  });
}

/** One call; the JSON of a 2xx answer, or what went wrong. Never rejects. */
async function call(connection: Connection, request: Call): NodeApiResult<unknown> {
  try {
    const response = await open(connection, request, CALL_MS_MAX);
    const body = await readJson(response.body);
    if (response.statusCode < 300) return ok(body);
    return fail(translate(response.statusCode, failureSchema.safeParse(body).data?.message));
  } catch (error) {
    return fail(unavailable(error));
  }
}

async function readJson(body: AsyncIterable<Uint8Array>): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`the answer is larger than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  return text === '' ? undefined : JSON.parse(text);
}

function translate(status: number, message: string | undefined): NodeApiError {
  const sentence = message ?? `The server answered ${status}.`;
  if (status === 404) return { reason: 'NotFound', message: sentence };
  if (status === 409) return { reason: 'Conflict', message: sentence };
  return { reason: status === 429 || status >= 500 ? 'Unavailable' : 'Refused', message: sentence };
}

function unavailable(error: unknown): NodeApiError {
  return {
    reason: 'Unavailable',
    message: `The API does not answer: ${error instanceof Error ? error.message : String(error)}`,
  };
}

function garbled(what: string): NodeApiError {
  return { reason: 'Unavailable', message: `The API sent ${what} that cannot be read.` };
}

function dropValue(answer: Result<unknown, NodeApiError>): Result<void, NodeApiError> {
  return answer.ok ? ok(undefined) : answer;
}

/** Lists, then watches from there; lists again when the version is gone. */
async function followPods(connection: Connection, events: PodEvents, signal: AbortSignal): Promise<void> {
  const { clock, rng, log } = connection;
  let version: string | undefined;
  let failures = 0;
  while (!signal.aborted) {
    const startedMs = clock.nowMs();
    const next: Step =
      version === undefined
        ? await listPods(connection, events, signal)
        : await watchPods(connection, events, { version, signal });
    const isList = version === undefined;
    version = next.version;
    if (signal.aborted) return;
    // Only a watch that lasted counts as success: a server that ends each one at once must not be asked in a tight loop.
    const hasSettled = clock.nowMs() - startedMs >= WATCH_SETTLED_MS;
    if (hasSettled) failures = 0;
    if (next.failure === undefined && (isList || hasSettled)) continue;
    const waitMs = backoffDelayMs({ ...API_BACKOFF, attempt: failures, rng });
    log.debug(
      { error: next.failure, attempt: failures, waitMs: Math.round(waitMs) },
      'the watch of Pods is begun again',
    );
    failures += 1;
    await delay(clock, waitMs, signal).catch(() => undefined);
  }
}

/** Where to go on: from a version, or with a list when there is none. */
interface Step {
  readonly version: string | undefined;
  readonly failure: string | undefined;
}

async function listPods(connection: Connection, events: PodEvents, signal: AbortSignal): Promise<Step> {
  const pods: Pod[] = [];
  let token: string | undefined;
  for (;;) {
    const query = new URLSearchParams({
      limit: String(LIST_PAGE),
      ...(token === undefined ? {} : { continue: token }),
    });
    const answer = await call(connection, { method: 'GET', path: `/api/v1/pods?${query}`, signal });
    if (!answer.ok) return { version: undefined, failure: answer.error.message };
    const page = listSchema.safeParse(answer.value);
    if (!page.success) return { version: undefined, failure: garbled('a list of Pods').message };
    for (const item of page.data.items ?? []) keepPod(connection, item, (pod) => pods.push(pod));
    token = page.data.metadata.continue || undefined;
    if (token !== undefined) continue;
    events.onList(pods);
    return { version: page.data.metadata.resourceVersion, failure: undefined };
  }
}

/** A Pod that cannot be read is left alone: the node cannot know what it asks for. */
function keepPod({ log }: Connection, item: unknown, keep: (pod: Pod) => void): void {
  if (isPod(item)) keep(item);
  else log.warn({}, 'a Pod that cannot be read is left alone');
}

async function watchPods(
  connection: Connection,
  events: PodEvents,
  from: { readonly version: string; readonly signal: AbortSignal },
): Promise<Step> {
  const query = new URLSearchParams({
    watch: 'true',
    resourceVersion: from.version,
    allowWatchBookmarks: 'true',
    timeoutSeconds: String(WATCH_SECONDS),
  });
  let { version }: { version: string | undefined } = from;
  try {
    const request: Call = { method: 'GET', path: `/api/v1/pods?${query}`, signal: from.signal };
    const response = await open(connection, request, WATCH_SILENCE_MS_MAX);
    if (response.statusCode !== 200) {
      await response.body.dump();
      const error = translate(response.statusCode, undefined);
      // 410 and every other refusal: this version is of no use any more.
      return { version: error.reason === 'Unavailable' ? version : undefined, failure: error.message };
    }
    for await (const line of readLines(response.body)) {
      version = applyEvent(connection, events, JSON.parse(line)) ?? undefined;
      if (version === undefined) return { version, failure: 'the version is gone' };
    }
    return { version, failure: undefined };
  } catch (error) {
    return { version, failure: unavailable(error).message };
  }
}

async function* readLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let parts: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    let rest = Buffer.from(chunk);
    for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10)) {
      const line = Buffer.concat([...parts, rest.subarray(0, end)]).toString('utf8');
      parts = [];
      bytes = 0;
      rest = rest.subarray(end + 1);
      if (line.trim() !== '') yield line;
    }
    bytes += rest.length;
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`an event is larger than ${ANSWER_BYTES_MAX} bytes`);
    parts.push(rest);
  }
}

/** The version that the event brings; undefined when a list is needed. */
function applyEvent(connection: Connection, events: PodEvents, raw: unknown): string | undefined {
  const event = eventSchema.safeParse(raw);
  if (!event.success || event.data.type === 'ERROR') return undefined;
  const { type, object } = event.data;
  const version = versionSchema.safeParse(object).data?.metadata.resourceVersion;
  if (type === 'ADDED' || type === 'MODIFIED') keepPod(connection, object, (pod) => events.onPod(pod));
  else if (type === 'DELETED') keepPod(connection, object, (pod) => events.onGone(pod));
  return version;
}
