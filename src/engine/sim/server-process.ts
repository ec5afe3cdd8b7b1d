// The simulated model server process: one imitated model, one HTTP server on loopback, one parent. Started as
// `node src/engine/sim/server-process.ts` with one JSON line (config.ts) on standard input, which then stays open.
// Composes the server; the process itself (streams, signals, exit) is src/engine/server-frame.ts.
import { writeSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type Clock, systemClock } from '../../lib/clock.ts';
import { parseInstanceId } from '../../lib/ids.ts';
import { createLog } from '../../telemetry/log.ts';
import { createServerMetrics } from '../llama/metrics.ts';
import type { ServerLine } from '../llama/protocol.ts';
import {
  closeServer,
  exitOnTerm,
  listenOnLoopback,
  runServerProcess,
  type Say,
  SERVER_HEADER_BYTES_MAX,
} from '../server-frame.ts';
import { createAccelerator } from './accelerator.ts';
import { parseSimConfig, type SimConfig } from './config.ts';
import { createFaults } from './faults.ts';
import { SimHost } from './host.ts';
import { createSimListener, drainingRefusal } from './routes.ts';
import { createTimes } from './times.ts';

/** As a process ends that a segmentation fault has hit. */
const EXIT_CRASHED = 139;
const STANDARD_ERROR = 2;

function stateLine(host: SimHost): ServerLine {
  return {
    type: 'state',
    state: host.state,
    ...(host.state === 'failed' && host.reason !== undefined ? { reason: host.reason } : {}),
    ...(host.state === 'ready' && host.phases !== undefined ? { phases: host.phases } : {}),
  };
}

/** No answer is finished and nothing is flushed, as in a real crash. */
function crash(): never {
  writeSync(STANDARD_ERROR, 'A crash, because the simulation says so.\n');
  process.exit(EXIT_CRASHED);
}

async function serve(config: SimConfig, say: Say): Promise<void> {
  const clock = systemClock;
  const log = createLog(`sim ${config.instance}`, 'info');
  const metrics = createServerMetrics();
  const { profile, seed } = config.simulated;
  const incarnation = parseInstanceId(config.instance)?.incarnation ?? 1;
  const times = createTimes({ profile, seed, incarnation, speedPercent: config.simulation.speedPercent });
  const faults = createFaults({ faults: config.simulation.faults, seed, incarnation });
  const accelerator = createAccelerator({ ...config, profile });
  const host = new SimHost({
    times,
    faults,
    accelerator,
    incarnation,
    places: config.concurrency,
    queueMax: config.queueMax ?? 2 * config.concurrency,
    clock,
    log,
    metrics,
    onChange: (changed) => say(stateLine(changed)),
  });
  let draining = false;
  const context = { config, clock, log, host, times, faults, accelerator, metrics, crash };
  const counts = { requests: 0, faults: 0 };
  const listener = createSimListener({ ...context, counts, draining: () => draining });
  const server = createServer({ maxHeaderSize: SERVER_HEADER_BYTES_MAX }, listener);
  say({ type: 'listening', port: await listenOnLoopback(server) });
  exitOnTerm(() => {
    draining = true;
    return drain(host, { clock, drainMs: config.drainMs, server });
  });
  await host.start(config.freeBytes);
}

/** New requests are refused already. Lets what runs finish for `drainMs`, then cuts the rest truthfully. */
async function drain(
  host: SimHost,
  { clock, drainMs, server }: { clock: Clock; drainMs: number; server: Server },
): Promise<void> {
  host.batch?.refuseQueued(drainingRefusal());
  await host.batch?.whenIdle(drainMs);
  host.shutdown(drainingRefusal());
  await closeServer(server, clock);
}

await runServerProcess(parseSimConfig, serve);
