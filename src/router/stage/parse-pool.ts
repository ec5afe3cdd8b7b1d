// Where a body is parsed: small ones right here, large ones in a worker, so that the event loop is never held up for more
// than a few milliseconds. The worker starts with the first large body; when it dies, what it had ends and it starts anew.
import { Worker } from 'node:worker_threads';
import type { FieldFault } from '../../core/route/chat-fields.ts';
import type { Result } from '../../lib/result.ts';
import { Ending } from '../ending.ts';
import { type ParsedChat, parse } from './parse.ts';

export interface ChatParser {
  parse(bytes: Uint8Array): Promise<Result<ParsedChat, FieldFault>>;
  stop(): Promise<void>;
}

/** Both ways between this module and parse-worker.ts. */
export interface ParseJob {
  readonly id: number;
  readonly bytes: Uint8Array;
}
export interface ParseDone {
  readonly id: number;
  readonly result: Result<ParsedChat, FieldFault>;
}

interface Pending {
  resolve(result: Result<ParsedChat, FieldFault>): void;
  reject(error: Ending): void;
}

export function createChatParser(inlineBytesMax: number): ChatParser {
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
    started.on('message', ({ id, result }: ParseDone) => {
      pending.get(id)?.resolve(result);
      pending.delete(id);
    });
    started.on('error', () => onLoss(started));
    started.on('exit', () => onLoss(started));
    started.unref();
    return started;
  };
  return {
    async parse(bytes) {
      if (bytes.length <= inlineBytesMax) return parse(bytes);
      worker ??= start();
      const job: ParseJob = { id: serial++, bytes };
      const done = new Promise<Result<ParsedChat, FieldFault>>((resolve, reject) => {
        pending.set(job.id, { resolve, reject });
      });
      worker.postMessage(job);
      return done;
    },
    async stop() {
      await worker?.terminate();
    },
  };
}

const workerUrl = new URL(import.meta.url.endsWith('.ts') ? './parse-worker.ts' : './parse-worker.js', import.meta.url);
