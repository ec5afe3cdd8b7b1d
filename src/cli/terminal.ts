// The terminal that a command runs in: its streams, its environment, and Ctrl-C as a signal that aborts.
// Opened when a command starts, so that the long-running parts keep their own handling of signals.
import type { CommandIo } from './io.ts';

/** The first interrupt aborts what the command does; a second one ends the process at once. */
export function openTerminal(): CommandIo {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => interrupted.abort(new Error(`interrupted by ${signal}`)));
  }
  // Whoever reads the output may stop early, as `head` does.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
  return {
    write: (text) => void process.stdout.write(text),
    complain: (text) => void process.stderr.write(text),
    environment: process.env,
    isTerminal: process.stderr.isTTY === true,
    signal: interrupted.signal,
    exitWith(code) {
      process.exitCode = code;
    },
  };
}
