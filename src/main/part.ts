// The frame of every long-running process: start, say that it is ready, stop on a signal or when the parent is gone.
// Owns the signals and the exit code of the process; knows nothing of what the part does.
import { systemClock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';

/** Figures that a started part tells its parent, for example ports. */
export type Facts = Readonly<Record<string, string | number>>;

export interface StartedPart {
  readonly facts: Facts;
  /** Ends everything the part started. Must finish by itself; the frame gives up after `stopMsMax`. */
  stop(): Promise<void>;
  /** Resolves with a sentence when the part cannot go on. The process then stops with exit code 1, to be started anew. */
  readonly ended?: Promise<string>;
}

export interface Part {
  readonly name: string;
  readonly log: Log;
  /** The longest that stop may take before the process exits anyway. */
  readonly stopMsMax: number;
  /** Rejects soon after the signal aborts, with nothing of it left. */
  start(stopping: AbortSignal): Promise<StartedPart>;
}

/** A sentence for the person who started the process; printed without a stack. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

export type PartMessage =
  | { readonly type: 'ready'; readonly facts: Facts }
  | { readonly type: 'failed'; readonly sentence: string };

/** Runs a part until SIGTERM, SIGINT, a `stop` message or the loss of the parent. Resolves with the exit code. */
export async function runPart(part: Part): Promise<number> {
  const { asked, signal } = stopRequest();
  const starting = part.start(signal);
  try {
    const started = await Promise.race([starting, asked]);
    if (started !== undefined) {
      tellParent({ type: 'ready', facts: started.facts });
      part.log.info(started.facts, `${part.name} is ready`);
      const sentence = await Promise.race([asked, ...(started.ended === undefined ? [] : [started.ended])]);
      if (sentence !== undefined) {
        part.log.error({ reason: sentence }, `${part.name} cannot go on`);
        await stopWithin(part, starting);
        return 1;
      }
    }
  } catch (error) {
    const sentence = startSentence(error);
    tellParent({ type: 'failed', sentence });
    process.stderr.write(`stoker ${part.name}: ${sentence}\n`);
    return 1;
  }
  return stopWithin(part, starting);
}

/** Also stops a part that was still starting. That it could not start is no news then. */
async function stopWithin(part: Part, starting: Promise<StartedPart>): Promise<number> {
  const late = new Promise<'late'>((resolve) => {
    systemClock.after(part.stopMsMax, () => resolve('late'), { background: true });
  });
  const stopped = starting.then(
    (started) => started.stop(),
    (error: unknown) => part.log.info({ error: String(error) }, `${part.name} was stopped while it started`),
  );
  try {
    const end = await Promise.race([stopped, late]);
    if (end === 'late') part.log.warn({ stopMsMax: part.stopMsMax }, `${part.name} did not stop in time`);
    return end === 'late' ? 1 : 0;
  } catch (error) {
    part.log.error({ error: String(error) }, `${part.name} failed to stop cleanly`);
    return 1;
  }
}

function stopRequest(): { asked: Promise<undefined>; signal: AbortSignal } {
  const stopping = new AbortController();
  const asked = new Promise<undefined>((resolve) => {
    stopping.signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  const stop = () => stopping.abort(new StartError('It was stopped while it started.'));
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', stop);
  if (process.send !== undefined) {
    process.on('message', (message: unknown) => {
      if (typeof message === 'object' && message !== null && 'type' in message && message.type === 'stop') stop();
    });
    process.on('disconnect', stop);
    // The parent may have gone while this process loaded its modules.
    if (!process.connected) stop();
  }
  return { asked, signal: stopping.signal };
}

function tellParent(message: PartMessage): void {
  // With a callback: a parent that is just gone would otherwise end this process before it has stopped what it started.
  if (process.send !== undefined && process.connected) process.send(message, undefined, undefined, () => {});
}

/** Turns what start threw into one plain sentence. */
function startSentence(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('code' in error && error.code === 'EADDRINUSE' && 'port' in error) {
    return `Port ${String(error.port)} is already in use.`;
  }
  return error.message;
}

export interface PortSetting {
  readonly flag: string;
  readonly variable: string;
  readonly port: number;
}

/** Waits for `listen`; when a port is taken, says which flag chooses another one. Several settings go in order of listening. */
export async function listening<T>(setting: PortSetting | PortSetting[], listen: () => Promise<T>): Promise<T> {
  try {
    return await listen();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
      throw new StartError(takenSentence(settingOf([setting].flat(), error)));
    }
    throw error;
  }
}

/** The setting of the port that the error names. */
function settingOf(settings: readonly PortSetting[], error: Error): PortSetting | undefined {
  const port = 'port' in error ? error.port : undefined;
  return settings.find((setting) => setting.port === port) ?? settings[0];
}

function takenSentence(setting: PortSetting | undefined): string {
  if (setting === undefined) return 'A port is already in use.';
  return `Port ${setting.port} is already in use. Choose another with --${setting.flag} N or ${setting.variable}=N (0 picks a free one).`;
}

/** Rejects at once when the process is asked to stop; what `work` rejects with after that is nobody's news. */
export function unlessStopped<T>(stopping: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(stopping.reason);
    if (stopping.aborted) onAbort();
    stopping.addEventListener('abort', onAbort, { once: true });
    void work.then(resolve, reject).finally(() => stopping.removeEventListener('abort', onAbort));
  });
}
