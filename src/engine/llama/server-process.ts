// The model server process: one model, one HTTP server on loopback, one parent. Started as
// `node src/engine/llama/server-process.ts` with one JSON line (config.ts) on standard input, which then stays open.
// Composes the server; the process itself (streams, signals, exit) is src/engine/server-frame.ts.
import { createServer, type Server } from 'node:http';
import { type Clock, systemClock } from '../../lib/clock.ts';
import { systemRng } from '../../lib/rng.ts';
import { createLog } from '../../telemetry/log.ts';
import {
  closeServer,
  exitOnTerm,
  listenOnLoopback,
  runServerProcess,
  type Say,
  SERVER_HEADER_BYTES_MAX,
} from '../server-frame.ts';
import { parseServerConfig, prefillChunkOf, queueMaxOf, type ServerConfig } from './config.ts';
import { createServerMetrics } from './metrics.ts';
import { ModelHost } from './model-host.ts';
import { openNativeLibrary } from './native-library.ts';
import { nativeLoader } from './native-model.ts';
import type { ServerLine } from './protocol.ts';
import { createListener, drainingRefusal } from './routes.ts';

function stateLine(host: ModelHost): ServerLine {
  return {
    type: 'state',
    state: host.state,
    ...(host.state === 'failed' && host.reason !== undefined ? { reason: host.reason } : {}),
    ...(host.state === 'ready' && host.phases !== undefined ? { phases: host.phases } : {}),
    ...(host.progress === undefined ? {} : { progress: host.progress }),
  };
}

async function serve(config: ServerConfig, say: Say): Promise<void> {
  const clock = systemClock;
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
  const server = createServer({ maxHeaderSize: SERVER_HEADER_BYTES_MAX }, createListener(context));
  say({ type: 'listening', port: await listenOnLoopback(server) });
  exitOnTerm(() => {
    draining = true;
    return drain(host, { clock, drainMs: config.drainMs, server });
  });
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
  await host.whenIdle(drainMs);
  await host.shutdown(drainingRefusal());
  await closeServer(server, clock);
}

await runServerProcess(parseServerConfig, serve);
