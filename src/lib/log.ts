// What every part may say about itself. Implemented over pino in src/telemetry/log.ts.
// Fields are figures, names and codes: never prompts, answers, keys or tokens.

export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface Log {
  debug(fields: LogFields, sentence: string): void;
  info(fields: LogFields, sentence: string): void;
  warn(fields: LogFields, sentence: string): void;
  error(fields: LogFields, sentence: string): void;
}

const nothing = () => {};
/** Says nothing: for tests and tools. */
export const silentLog: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
