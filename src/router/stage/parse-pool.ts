// Where a body is parsed: small ones right here, large ones in a worker, so that the event loop is never held up for more
// than a few milliseconds. The worker starts with the first large body; when it dies, what it had ends and it starts anew.
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
  readonly id: number;
  readonly bytes: Uint8Array;
  readonly what: RouteName | 'message';
}
/** and what it says: one of the two. */
export interface ParseDone {
  readonly id: number;
  readonly body?: Result<ParsedBody, FieldFault>;
  readonly message?: Result<SocketMessage, MessageFault>;
}

interface Pending {
  resolve(done: ParseDone): void;
  reject(error: Ending): void;
}

export function createBodyParser(inlineBytesMax: number): BodyParser {
  const pending = new Map<number, Pending>();
  let worker: Worker | undefined;
  let serial = 0;
  const onLoss = (lost: Worker) => {
    if (worker !== lost) return;
    worker = undefined;
    for (const { reject } of pending.values()) reject(new Ending('internal_error', 'The body could not be parsed.'));
    pending.clear();
  };
  const start = () => {
    const started = new Worker(workerUrl);
    started.on('message', (done: ParseDone) => {
      pending.get(done.id)?.resolve(done);
      pending.delete(done.id);
    });
    started.on('error', () => onLoss(started));
    started.on('exit', () => onLoss(started));
    started.unref();
    return started;
  };
  const run = (bytes: Uint8Array, what: ParseJob['what']) => {
    worker ??= start();
    const job: ParseJob = { id: serial++, bytes, what };
    const done = new Promise<ParseDone>((resolve, reject) => {
      pending.set(job.id, { resolve, reject });
    });
    worker.postMessage(job);
    return done;
  };
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
