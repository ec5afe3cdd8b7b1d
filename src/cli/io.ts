// What a command may touch: its streams, its environment and the folder it was called in. Tests give their own.

export interface CommandIo {
  /** Standard output: results. */
  write(text: string): void;
  /** Standard error: progress and complaints. */
  complain(text: string): void;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Whether standard error is a terminal, where a line of progress can be redrawn. */
  readonly isTerminal: boolean;
  /** Aborts when the person interrupts. */
  readonly signal: AbortSignal;
  /** The code that the process ends with once the command is over. */
  exitWith(code: number): void;
}

/** Ends a command with exit code 1 and this sentence, without a stack. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

export type OutputFormat = 'table' | 'json';

/** One JSON document for programs; nothing else goes to standard output then. */
export function writeJson(io: CommandIo, value: unknown): void {
  io.write(`${JSON.stringify(value, null, 2)}\n`);
}
