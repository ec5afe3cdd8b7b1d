// Why files could not be brought here: a closed list of reasons, each with a sentence that says what to do. What is worth
// another try says so. Never carries a credential, nor the query of an address, which may hold one.

export type StageReason =
  | 'AccessDenied'
  | 'FilesMissing'
  | 'SourceUnreachable'
  | 'SourceRefused'
  | 'HashMismatch'
  | 'SizeMismatch'
  | 'DiskFull'
  | 'CacheUnwritable'
  | 'PlanInvalid';

export class StageError extends Error {
  override readonly name = 'StageError';
  readonly reason: StageReason;
  /** The same request may do better later. */
  readonly isPassing: boolean;
  /** What the other side asked to wait for. */
  readonly retryAfterMs: number | undefined;

  constructor(reason: StageReason, message: string, passing?: { readonly retryAfterMs?: number | undefined }) {
    super(message);
    this.reason = reason;
    this.isPassing = passing !== undefined;
    this.retryAfterMs = passing?.retryAfterMs;
  }
}

/** An address as people may see it: without its query, where signatures lie. */
export function shownUrl(url: string): string {
  const end = url.search(/[?#]/);
  return end === -1 ? url : url.slice(0, end);
}

/** What the system said while a file was written. */
export function diskError(path: string, error: unknown): StageError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new StageError(
      'DiskFull',
      `The volume is full while ${path} was written. Make it larger, or free space on it.`,
    );
  }
  return new StageError('CacheUnwritable', `${path} cannot be written (${code}). Make the volume writable for Stoker.`);
}
