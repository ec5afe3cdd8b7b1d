// Follows what a model server process prints: its port, then its states. Turns them into promises that also settle when the
// process ends. Lines that are not from the server are ignored.
import { parseJson } from '../lib/json-text.ts';
import type { EngineExit } from '../ports/engine.ts';
import { describeExit, EngineError } from './engine-error.ts';
import { type ServerState, serverLineSchema } from './llama/protocol.ts';

export interface ServerLines {
  read(line: string): void;
  /** Ends every wait. */
  end(exit: EngineExit): void;
  /** Rejects when the process ends first, or with the signal's reason. */
  whenListening(signal: AbortSignal): Promise<number>;
  /** Resolves at the first `ready`; rejects at `failed`. */
  whenReady(signal: AbortSignal): Promise<void>;
}

interface Facts {
  port?: number;
  state?: ServerState;
  reason?: string;
  exit?: EngineExit;
}

export function createServerLines(): ServerLines {
  const facts: Facts = {};
  const waiting = new Set<() => void>();
  const changed = () => {
    for (const look of [...waiting]) look();
  };
  /** Asks `look` after every change until it answers; `look` may throw. */
  const wait = <T>(look: () => T | undefined, signal: AbortSignal) =>
    new Promise<T>((resolve, reject) => {
      const stop = () => {
        waiting.delete(attempt);
        signal.removeEventListener('abort', attempt);
      };
      const attempt = () => {
        try {
          signal.throwIfAborted();
          const found = look();
          if (found === undefined) return;
          stop();
          resolve(found);
        } catch (error) {
          stop();
          reject(error);
        }
      };
      waiting.add(attempt);
      signal.addEventListener('abort', attempt, { once: true });
      attempt();
    });
  const throwIfEnded = () => {
    if (facts.exit !== undefined) throw new EngineError('EngineExited', describeExit(facts.exit));
  };
  return {
    read(line) {
      const parsed = serverLineSchema.safeParse(parseJson(line)).data;
      if (parsed === undefined) return;
      if (parsed.type === 'listening') facts.port = parsed.port;
      else Object.assign(facts, { state: parsed.state, reason: parsed.reason });
      changed();
    },
    end(exit) {
      facts.exit = exit;
      changed();
    },
    whenListening: (signal) =>
      wait(() => {
        throwIfEnded();
        return facts.port;
      }, signal),
    async whenReady(signal) {
      await wait(() => {
        if (facts.state === 'failed')
          throw new EngineError('LoadFailed', facts.reason ?? 'The engine could not load the model.');
        throwIfEnded();
        return facts.state === 'ready' ? true : undefined;
      }, signal);
    },
  };
}
