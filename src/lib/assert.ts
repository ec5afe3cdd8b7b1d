// What programmers promise is asserted; what the world may do is returned. An assertion ends one pass or one request, not the process.

export class AssertionFailure extends Error {
  override readonly name = 'AssertionFailure';
}

/** Throws AssertionFailure with `promise` (a sentence that should have been true) when the condition does not hold. */
export function assert(condition: boolean, promise: string): asserts condition {
  if (!condition) throw new AssertionFailure(`broken promise: ${promise}`);
}

/** For the default branch of an exhaustive switch: the compiler proves that it is never reached. */
export function unreachable(value: never): never {
  throw new AssertionFailure(`broken promise: every case is handled, yet ${JSON.stringify(value)} came`);
}
