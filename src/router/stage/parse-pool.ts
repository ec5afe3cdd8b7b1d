// Where a body is parsed: small ones right here, large ones in a worker, so that the event loop is never held up for more
// than a few milliseconds. The worker starts with the first large body; when it dies, what waits for it ends and it starts anew.
// It gets one body at a time, since it gets a copy: the copies of those that wait would be in no budget.
import { Worker } from 'node:worker_threads';
import type { RouteName } from '../../core/route/inference-routes.ts';
import type { FieldFault } from '../../core/route/request-fields.ts';
import type { MessageFault, SocketMessage } from '../../core/route/socket-message.ts';
import { assert } from '../../lib/assert.ts';
import type { Result } from '../../lib/result.ts';
import { Ending } from '../ending.ts';
import { type ParsedBody, parse } from './parse.ts';

export interface BodyParser {
  parse(bytes: Uint8Array, route: RouteName): Promise<Result<ParsedBody, FieldFault>>;
  /** A message of a WebSocket, always in the worker: small ones need no promise. */
  parseMessage(bytes: Uint8Array): Promise<Result<SocketMessage, MessageFault>>;
  stop(): Promise<void>;
}

/** What the worker is asked, */
export interface ParseJob {
  readonly bytes: Uint8Array;
  readonly what: RouteName | 'message';
}
/** and what it says: one of the two. */
export interface ParseDone {
  readonly body?: Result<ParsedBody, FieldFault>;
  readonly message?: Result<SocketMessage, MessageFault>;
}

interface Pending extends ParseJob {
  resolve(done: ParseDone): void;
  reject(error: Ending): void;
}

export function createBodyParser(inlineBytesMax: number): BodyParser {
  /** The first one is at the worker. */
  const pending: Pending[] = [];
  let worker: Worker | undefined;
  const onLoss = (lost: Worker) => {
    if (worker !== lost) return;
    worker = undefined;
    for (const { reject } of pending.splice(0)) reject(new Ending('internal_error', 'The body could not be parsed.'));
  };
  const start = () => {
    const started = new Worker(workerUrl);
    started.on('message', (done: ParseDone) => {
      if (worker !== started) return;
      pending.shift()?.resolve(done);
      sendFirst();
    });
    started.on('error', () => onLoss(started));
    started.on('exit', () => onLoss(started));
    started.unref();
    return started;
  };
  const sendFirst = () => {
    const first = pending[0];
    if (first === undefined) return;
    worker ??= start();
    const job: ParseJob = { bytes: first.bytes, what: first.what };
    worker.postMessage(job);
  };
  const run = (bytes: Uint8Array, what: ParseJob['what']) =>
    new Promise<ParseDone>((resolve, reject) => {
      pending.push({ bytes, what, resolve, reject });
      if (pending.length === 1) sendFirst();
    });
  return {
    async parse(bytes, route) {
      if (bytes.length <= inlineBytesMax) return parse(bytes, route);
      const { body } = await run(bytes, route);
      assert(body !== undefined, 'the worker answers what it was asked');
      return body;
    },
    async parseMessage(bytes) {
      const { message } = await run(bytes, 'message');
      assert(message !== undefined, 'the worker answers what it was asked');
      return message;
    },
    async stop() {
      await worker?.terminate();
    },
  };
}

const workerUrl = new URL(import.meta.url.endsWith('.ts') ? './parse-worker.ts' : './parse-worker.js', import.meta.url);
