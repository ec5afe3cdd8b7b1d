// Where a list goes on: the version it was read at, and the last object that was given out. Opaque to clients, who may
// send back anything.
import { asObject, asText } from './json-value.ts';
import { badRequest, expired } from './status-error.ts';

export interface ListPosition {
  readonly version: number;
  /** `<namespace>/<name>` of the last object of the page before. */
  readonly after: string;
}

const TOKEN_CHARS_MAX = 2048;

export function renderContinueToken({ version, after }: ListPosition): string {
  return Buffer.from(JSON.stringify({ v: version, after })).toString('base64url');
}

/** Throws ApiError 400 for what was never given out. */
export function parseContinueToken(token: string): ListPosition {
  const { v, after } = asObject(decode(token));
  const start = asText(after);
  if (typeof v !== 'number' || !Number.isSafeInteger(v) || start === undefined)
    throw badRequest('continue key is not valid');
  return { version: v, after: start };
}

function decode(token: string): unknown {
  if (token.length > TOKEN_CHARS_MAX) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
    return value;
  } catch {
    return undefined;
  }
}

export function continueExpired(): Error {
  return expired(
    'The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.',
  );
}
