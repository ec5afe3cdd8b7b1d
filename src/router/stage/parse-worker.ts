// The worker of parse-pool.ts: parses one body after another. Keeps nothing between two of them.
import { parentPort } from 'node:worker_threads';
import { parse } from './parse.ts';
import type { ParseDone, ParseJob } from './parse-pool.ts';

parentPort?.on('message', ({ id, bytes }: ParseJob) => {
  const done: ParseDone = { id, result: parse(bytes) };
  parentPort?.postMessage(done);
});
