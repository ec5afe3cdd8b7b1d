// The frame of our own model server processes: one JSON line of configuration on standard input, which then stays open; our
// own lines on standard output; HTTP on loopback. Owns the process's streams and its exit. Must never outlive its parent.
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../lib/clock.ts';
import type { Result } from '../lib/result.ts';
import { CONFIG_LINE_BYTES_MAX } from './llama/config.ts';
import type { ServerLine } from './llama/protocol.ts';
import { readParentPipe } from './llama/stdin-lines.ts';

const EXIT_BAD_CONFIGURATION = 2;
/** After the last answer: time for its bytes to leave. */
const FLUSH_MS_MAX = 1_000;
export const SERVER_HEADER_BYTES_MAX = 16 * 1024;
const SOCKETS_MAX = 2_000;
/** Longer than the agent keeps an idle connection, so that the agent closes first and no request meets a closing one. */
const KEEP_ALIVE_MS = 120_000;

export type Say = (line: ServerLine) => void;

/** Runs until the parent is gone. What `serve` throws is the process's last word. */
export async function runServerProcess<Config>(
  parse: (line: string) => Result<Config, string>,
  serve: (config: Config, say: Say) => Promise<void>,
): Promise<void> {
  try {
    const say = claimStandardOutput();
    const parent = readParentPipe(process.stdin, CONFIG_LINE_BYTES_MAX);
    void parent.ended.then(() => process.exit(0));
    const config = parse(await parent.firstLine);
    if (!config.ok) throw new Error(config.error);
    await serve(config.value, say);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(EXIT_BAD_CONFIGURATION);
  }
}

/** Takes standard output for our own lines: whatever else writes there would be read by the parent as ours. */
function claimStandardOutput(): Say {
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = process.stderr.write.bind(process.stderr);
  // A parent that is gone shows at standard input; its broken pipe here must not end the process first.
  process.stdout.on('error', () => {});
  return (line) => void write(`${JSON.stringify(line)}\n`);
}

/** Resolves with the port. */
export function listenOnLoopback(server: Server): Promise<number> {
  server.maxConnections = SOCKETS_MAX;
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address() as AddressInfo; // A TCP server that listens has an AddressInfo.
      resolve(address.port);
    });
  });
}

/** Runs `drain` at SIGTERM and exits after it. */
export function exitOnTerm(drain: () => Promise<void>): void {
  let draining = false;
  // Not `once`: a dependency of a native library ends the process when it sees no other listener than its own.
  process.on('SIGTERM', () => {
    // A repeated order changes nothing: who cannot wait sends SIGKILL.
    if (draining) return;
    draining = true;
    void drain().finally(() => process.exit(0));
  });
  // A terminal sends this to the whole group; the parent decides what happens, and its end is seen at standard input.
  process.on('SIGINT', () => {});
}

/** Lets the last bytes leave, for a bounded time. */
export function closeServer(server: Server, clock: Clock): Promise<void> {
  return new Promise<void>((resolve) => {
    clock.after(FLUSH_MS_MAX, resolve);
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}
