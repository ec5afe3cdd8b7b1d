// Whether a caller presents this process's key. Compared in constant time; must never say how much of it was right.
import { createHash, timingSafeEqual } from 'node:crypto';

/** Checks an `authorization` header. */
export type KeyCheck = (authorization: string | undefined) => boolean;

export function createKeyCheck(key: string): KeyCheck {
  const expected = digest(`Bearer ${key}`);
  return (authorization) => timingSafeEqual(digest(authorization ?? ''), expected);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
