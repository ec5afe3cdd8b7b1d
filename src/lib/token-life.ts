// When a bearer token was made and ends, as its own claims say (RFC 7519). Believes them only of tokens that a server has
// judged or that are our own: nothing is verified here.

export interface TokenLife {
  /** Wall clock, milliseconds since 1970. */
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

const TOKEN_CHARS_MAX = 16_384;

/** Undefined for a token of another form, or one without an end. */
export function readTokenLife(token: string): TokenLife | undefined {
  const [, payload = '', ...rest] = token.length > TOKEN_CHARS_MAX ? [] : token.split('.');
  if (rest.length !== 1) return undefined;
  let claims: unknown;
  try {
    claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
  if (typeof claims !== 'object' || claims === null || !('exp' in claims) || typeof claims.exp !== 'number') {
    return undefined;
  }
  const issued = 'iat' in claims && typeof claims.iat === 'number' ? claims.iat : claims.exp;
  return { issuedAtMs: Math.min(issued, claims.exp) * 1000, expiresAtMs: claims.exp * 1000 };
}
