// The terminal of a command under test: keeps what is printed, and the exit code.
import type { CommandIo } from '../../src/cli/io.ts';

export interface Printed {
  out: string;
  err: string;
  exitCode: number | undefined;
}

export function terminal(more: Partial<CommandIo> = {}): { io: CommandIo; printed: Printed } {
  const printed: Printed = { out: '', err: '', exitCode: undefined };
  const io: CommandIo = {
    write: (text) => {
      printed.out += text;
    },
    complain: (text) => {
      printed.err += text;
    },
    environment: {},
    isTerminal: false,
    signal: new AbortController().signal,
    exitWith: (code) => {
      printed.exitCode = code;
    },
    ...more,
  };
  return { io, printed };
}
