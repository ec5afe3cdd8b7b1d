// Why a trace is refused: the file, the line and what is wrong there, as one sentence for the person who gave it.
// Never holds more of a line than its numbers.

export class TraceError extends Error {
  override readonly name = 'TraceError';
}

export function refuseLine(file: string, line: number, problem: string): TraceError {
  return new TraceError(`${file}:${line}: ${problem}`);
}
