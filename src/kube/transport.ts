// HTTP to one API server over kept connections: a call with a deadline, or a stream. Translates what goes wrong on the
// wire; never retries, and never reads objects.
import { type Dispatcher, Pool } from 'undici';
import { type Clock, deadlineSignal } from '../lib/clock.ts';
import { fail, ok, type Result } from '../lib/result.ts';
import type { ClusterError } from '../ports/cluster.ts';
import { errorOfAnswer, type KubeAnswer, parseRetryAfterMs, parseWarnings } from './answers.ts';
import { ANSWER_BYTES_MAX, CALL_MS_MAX, CALL_SOCKETS_MAX, IDLE_SOCKET_MS_MAX } from './bounds.ts';
import type { Connection } from './connection.ts';

export interface KubeCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** From the root of the API, with its query. */
  readonly path: string;
  readonly body?: object;
  /** `content-type` is application/json unless it is named here. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface KubeTransport {
  /** Every answer of the server is a value, refusals too. Errors are Timeout, Aborted, Unauthorized (no credentials) and Unavailable. */
  send(call: KubeCall): Promise<Result<KubeAnswer, ClusterError>>;
  /** A stream of bytes that fails when the signal aborts (a signal of its own). Refusals are errors. The head must come within CALL_MS_MAX. */
  open(path: string, signal: AbortSignal): Promise<Result<AsyncIterable<Uint8Array>, ClusterError>>;
  /** Cuts everything that is still under way. */
  close(): Promise<void>;
}

class LateError extends Error {
  override readonly name = 'LateError';
}

export function createKubeTransport(connection: Connection, clock: Clock): KubeTransport {
  const { origin } = new URL(connection.server);
  // Deadlines are ours, so undici's are off.
  const connect = { timeout: CALL_MS_MAX, ...connection.tls };
  const options = {
    allowH2: false,
    pipelining: 1,
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: IDLE_SOCKET_MS_MAX,
    connect,
  };
  const calls = new Pool(origin, { ...options, connections: CALL_SOCKETS_MAX });
  const streams = new Pool(origin, options);

  async function send(call: KubeCall): Promise<Result<KubeAnswer, ClusterError>> {
    const deadline = deadlineSignal(clock, CALL_MS_MAX, {
      reason: new LateError(
        `the API server did not answer ${call.method} ${pathOnly(call.path)} within ${CALL_MS_MAX} ms`,
      ),
      ...(call.signal === undefined ? {} : { parent: call.signal }),
    });
    try {
      return ok(await readAnswer(await request(calls, connection, { ...call, signal: deadline.signal })));
    } catch (error) {
      return fail(errorOfFailure(error, deadline.signal));
    } finally {
      deadline.cancel();
    }
  }

  async function open(path: string, signal: AbortSignal): Promise<Result<AsyncIterable<Uint8Array>, ClusterError>> {
    const cut = new AbortController();
    signal.addEventListener('abort', () => cut.abort(signal.reason), { once: true });
    const sentence = `the watch of ${pathOnly(path)} did not open within ${CALL_MS_MAX} ms`;
    const patience = clock.after(CALL_MS_MAX, () => cut.abort(new LateError(sentence)));
    try {
      const response = await request(streams, connection, { method: 'GET', path, signal: cut.signal });
      if (response.statusCode === 200) return ok(response.body);
      return fail(errorOfAnswer(await readAnswer(response)));
    } catch (error) {
      return fail(errorOfFailure(error, cut.signal));
    } finally {
      patience.cancel();
    }
  }

  return {
    send,
    open,
    async close() {
      await Promise.all([calls.destroy(), streams.destroy()]);
    },
  };
}

async function request(
  pool: Pool,
  connection: Connection,
  call: KubeCall & { signal: AbortSignal },
): Promise<Dispatcher.ResponseData> {
  const { method, path, body, headers, signal } = call;
  const authorization = await unlessAborted(signal, authorize(connection));
  const prefix = new URL(connection.server).pathname.replace(/\/$/, '');
  const type = body === undefined ? {} : { 'content-type': 'application/json' };
  return pool.request({
    method,
    path: prefix + path,
    headers: { accept: 'application/json', ...type, ...headers, ...authorization },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal,
  });
}

async function authorize(connection: Connection): Promise<Readonly<Record<string, string>>> {
  try {
    return await connection.authorize();
  } catch (error) {
    throw new CredentialError(sentenceOf(error));
  }
}

class CredentialError extends Error {
  override readonly name = 'CredentialError';
}

/** A credential plugin that hangs must not outlive the deadline. */
function unlessAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

async function readAnswer(response: Dispatcher.ResponseData): Promise<KubeAnswer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`the answer is larger than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  const retryAfterMs = parseRetryAfterMs(response.headers['retry-after']);
  return {
    status: response.statusCode,
    body: parseBody(Buffer.concat(chunks).toString('utf8')),
    warnings: parseWarnings(response.headers.warning),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

function parseBody(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function errorOfFailure(error: unknown, signal: AbortSignal): ClusterError {
  if (signal.aborted) {
    const isLate = signal.reason instanceof LateError;
    return {
      reason: isLate ? 'Timeout' : 'Aborted',
      message: isLate ? sentenceOf(signal.reason) : 'the call was given up',
    };
  }
  if (error instanceof CredentialError)
    return { reason: 'Unauthorized', message: `there are no credentials: ${error.message}` };
  return { reason: 'Unavailable', message: `the API server cannot be reached: ${sentenceOf(error)}` };
}

function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  return error.message === '' ? code : error.message;
}

function pathOnly(path: string): string {
  return path.split('?', 1)[0] ?? path;
}
