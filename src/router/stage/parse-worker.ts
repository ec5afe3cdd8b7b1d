// The worker of parse-pool.ts: parses one body or message after another. Keeps nothing between two of them.
import { parentPort } from 'node:worker_threads';
import { parseSocketMessage } from '../../core/route/socket-message.ts';
import { parse } from './parse.ts';
import type { ParseDone, ParseJob } from './parse-pool.ts';

parentPort?.on('message', ({ bytes, what }: ParseJob) => {
  const done: ParseDone = what === 'message' ? { message: parseSocketMessage(bytes) } : { body: parse(bytes, what) };
  parentPort?.postMessage(done);
});
