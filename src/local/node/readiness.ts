// Asks a container over HTTP whether it is ready. The port is looked up in the file that the container wrote once it
// listened, because all Pods of a machine share its ports (docs/adr/0006-local-pods.md).
import { readFile } from 'node:fs/promises';
import { request } from 'undici';
import { z } from 'zod';
import type { ContainerSpec } from '../../api/kinds.ts';
import { type Clock, deadlineSignal, delay } from '../../lib/clock.ts';
import { FIRST_PROBES_EVERY_MS, PROBE_FAILURES_MAX, PROBE_PERIOD_SECONDS_DEFAULT, PROBE_TIMEOUT_MS } from './bounds.ts';

export interface ReadinessOptions {
  readonly container: ContainerSpec;
  readonly host: string;
  readonly portsFile: string;
  readonly clock: Clock;
  onChange(ready: boolean): void;
}

const portsSchema = z.record(z.string(), z.int().min(1).max(65_535));

/** Calls onChange with every change until the signal aborts; without a probe, once with true. Never rejects. */
export async function followReadiness(options: ReadinessOptions, signal: AbortSignal): Promise<void> {
  const probe = options.container.readinessProbe;
  if (probe === undefined) {
    options.onChange(true);
    return;
  }
  const periodMs = 1000 * (probe.periodSeconds ?? PROBE_PERIOD_SECONDS_DEFAULT);
  let wasReady = false;
  let isReady = false;
  let failures = 0;
  while (!signal.aborted) {
    const passed: boolean = await probeOnce(options, probe.httpGet, signal);
    if (signal.aborted) return;
    failures = passed ? 0 : failures + 1;
    const next: boolean = passed || (isReady && failures < PROBE_FAILURES_MAX);
    if (next !== isReady) options.onChange(next);
    isReady = next;
    wasReady ||= next;
    await delay(options.clock, wasReady ? periodMs : Math.min(periodMs, FIRST_PROBES_EVERY_MS), signal).catch(
      () => undefined,
    );
  }
}

async function probeOnce(
  options: ReadinessOptions,
  { path, port }: { readonly path: string; readonly port: number | string },
  parent: AbortSignal,
): Promise<boolean> {
  const found = await findPort(options, port);
  if (found === undefined) return false;
  const reason = new Error(`no answer within ${PROBE_TIMEOUT_MS} ms`);
  const deadline = deadlineSignal(options.clock, PROBE_TIMEOUT_MS, { reason, parent });
  try {
    const url = new URL(path, `http://${options.host}:${found}`);
    const response = await request(url, { signal: deadline.signal, reset: true });
    await response.body.dump();
    return response.statusCode >= 200 && response.statusCode < 400;
  } catch {
    // Not listening yet, or not any more: not ready.
    return false;
  } finally {
    deadline.cancel();
  }
}

/** By name from the file; a number is taken as it is where the container gave that port no name. */
async function findPort(
  { container, portsFile }: ReadinessOptions,
  port: number | string,
): Promise<number | undefined> {
  const name = typeof port === 'string' ? port : container.ports?.find((entry) => entry.containerPort === port)?.name;
  const number = typeof port === 'number' ? port : undefined;
  if (name === undefined) return number;
  return (await readPorts(portsFile))?.[name] ?? number;
}

async function readPorts(path: string): Promise<Readonly<Record<string, number>> | undefined> {
  try {
    return portsSchema.safeParse(JSON.parse(await readFile(path, 'utf8'))).data;
  } catch {
    return undefined;
  }
}
