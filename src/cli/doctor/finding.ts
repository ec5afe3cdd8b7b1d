// What a check found: one line each. Holds no secret, and names what to do wherever something is not well.

/** `skip`: it could not be looked at, which is no verdict. */
export type FindingState = 'ok' | 'warn' | 'fail' | 'skip';

export interface Finding {
  /** What was looked at, in a word or two. */
  readonly check: string;
  readonly state: FindingState;
  /** What is so. */
  readonly message: string;
  /** What to do about it. */
  readonly remedy?: string;
}

export const good = (check: string, message: string): Finding => ({ check, state: 'ok', message });
export const skipped = (check: string, message: string, remedy?: string): Finding => ({
  check,
  state: 'skip',
  message,
  ...(remedy === undefined ? {} : { remedy }),
});
export const doubtful = (check: string, message: string, remedy: string): Finding => ({
  check,
  state: 'warn',
  message,
  remedy,
});
export const bad = (check: string, message: string, remedy: string): Finding => ({
  check,
  state: 'fail',
  message,
  remedy,
});
