// The model server process: one model, one HTTP server on loopback, one parent. Started as
// `node src/engine/llama/server-process.ts` with one JSON line (config.ts) on standard input, which then stays open.
// Owns the process: its standard output (protocol.ts), its signals and its exit. Must never outlive its parent.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Clock, systemClock } from '../../lib/clock.ts';
import { systemRng } from '../../lib/rng.ts';
import { createLog } from '../../telemetry/log.ts';
import { CONFIG_LINE_BYTES_MAX, parseServerConfig, prefillChunkOf, queueMaxOf, type ServerConfig } from './config.ts';
import { createServerMetrics } from './metrics.ts';
import { ModelHost } from './model-host.ts';
import { openNativeLibrary } from './native-library.ts';
import { nativeLoader } from './native-model.ts';
import type { ServerLine } from './protocol.ts';
import { createListener, drainingRefusal } from './routes.ts';
import { readParentPipe } from './stdin-lines.ts';

const EXIT_BAD_CONFIGURATION = 2;
/** After the last answer: time for its bytes to leave. */
const FLUSH_MS_MAX = 1_000;
const HEADER_BYTES_MAX = 16 * 1024;
const SOCKETS_MAX = 2_000;
/** Longer than the agent keeps an idle connection, so that the agent closes first and no request meets a closing one. */
const KEEP_ALIVE_MS = 120_000;

type Say = (line: ServerLine) => void;

/** Takes standard output for our own lines: whatever else writes there would be read by the parent as ours. */
function claimStandardOutput(): Say {
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = process.stderr.write.bind(process.stderr);
  // A parent that is gone shows at standard input; its broken pipe here must not end the process first.
  process.stdout.on('error', () => {});
  return (line) => void write(`${JSON.stringify(line)}\n`);
}

function stateLine(host: ModelHost): ServerLine {
  return {
    type: 'state',
    state: host.state,
    ...(host.state === 'failed' && host.reason !== undefined ? { reason: host.reason } : {}),
    ...(host.state === 'ready' && host.phases !== undefined ? { phases: host.phases } : {}),
    ...(host.progress === undefined ? {} : { progress: host.progress }),
  };
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address() as AddressInfo; // A TCP server that listens has an AddressInfo.
      resolve(address.port);
    });
  });
}

async function serve(config: ServerConfig, say: Say, clock: Clock): Promise<void> {
  const log = createLog(`llama ${config.instance}`, 'info');
  const metrics = createServerMetrics();
  let opened: ReturnType<typeof openNativeLibrary> | undefined;
  const native = () => {
    opened ??= openNativeLibrary(config, log);
    return opened;
  };
  const build = async () => (await native()).build;
  const host = new ModelHost({
    load: nativeLoader(config, native),
    clock,
    log,
    metrics,
    queueMax: queueMaxOf(config),
    prefillChunk: prefillChunkOf(config),
    startedMs: clock.nowMs(),
    onChange: (changed) => say(stateLine(changed)),
  });
  let draining = false;
  const context = { config, clock, rng: systemRng, log, host, metrics, build, draining: () => draining };
  const server = createServer({ maxHeaderSize: HEADER_BYTES_MAX }, createListener(context));
  server.maxConnections = SOCKETS_MAX;
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  say({ type: 'listening', port: await listen(server) });
  // Not `once`: a dependency of the native library ends the process when it sees no other listener than its own.
  process.on('SIGTERM', () => {
    // A repeated order changes nothing: who cannot wait sends SIGKILL.
    if (draining) return;
    draining = true;
    void drain(host, { clock, drainMs: config.drainMs, server }).finally(() => process.exit(0));
  });
  // A terminal sends this to the whole group; the parent decides what happens, and its end is seen at standard input.
  process.on('SIGINT', () => {});
  await host.start();
}

interface DrainOptions {
  readonly clock: Clock;
  readonly drainMs: number;
  readonly server: Server;
}

/** New requests are refused already. Lets what runs finish for `drainMs`, cuts the rest truthfully, releases the model. */
async function drain(host: ModelHost, { clock, drainMs, server }: DrainOptions): Promise<void> {
  const scheduler = host.loaded?.scheduler;
  scheduler?.refuseQueued(drainingRefusal());
  await scheduler?.whenIdle(drainMs);
  await host.shutdown(drainingRefusal());
  await new Promise<void>((resolve) => {
    clock.after(FLUSH_MS_MAX, resolve);
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}

async function main(): Promise<void> {
  const say = claimStandardOutput();
  const parent = readParentPipe(process.stdin, CONFIG_LINE_BYTES_MAX);
  void parent.ended.then(() => process.exit(0));
  const line = await parent.firstLine;
  const config = parseServerConfig(line);
  if (!config.ok) throw new Error(config.error);
  await serve(config.value, say, systemClock);
}

await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(EXIT_BAD_CONFIGURATION);
});
