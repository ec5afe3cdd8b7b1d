// Who may open a session at all: decided on the HTTP upgrade, before a WebSocket exists. The path, no browser, a bearer
// token that the owner accepts. Never reads a message; answers refusals as plain HTTP.
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { LINK_PATH } from '../api/link.ts';
import { type Clock, deadlineSignal } from '../lib/clock.ts';
import type { TokenIdentity } from '../ports/cluster.ts';
import { HANDSHAKE_MS_MAX } from './bounds.ts';

export interface Accepted {
  readonly kind: 'accept';
  readonly identity: TokenIdentity;
  /** Has the token reviewed again. Rejects when nobody could say. */
  isTokenAccepted(): Promise<boolean>;
}

export type Verdict =
  | Accepted
  | { readonly kind: 'refuse'; readonly status: 401 | 403 | 404 | 503; readonly why: string };

interface UpgradeRules {
  readonly clock: Clock;
  hasRoom(): boolean;
  authenticate(token: string): Promise<TokenIdentity | undefined>;
}

/** Never rejects: a token that cannot be reviewed now is 503, so that the spoke comes again. */
export async function reviewUpgrade(request: IncomingMessage, rules: UpgradeRules): Promise<Verdict> {
  if (request.url !== LINK_PATH) return refuse(404, 'there is nothing at this path');
  if (request.headers.origin !== undefined) return refuse(403, 'browsers have no business here');
  const token = /^Bearer ([^\s]+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (token === undefined) return refuse(401, 'the bearer token is missing');
  if (!rules.hasRoom()) return refuse(503, 'there is no room for another session');
  const review = () => inTime(rules.clock, rules.authenticate(token));
  try {
    const identity = await review();
    if (identity === undefined) return refuse(401, 'the token is not accepted');
    return { kind: 'accept', identity, isTokenAccepted: async () => (await review()) !== undefined };
  } catch (error) {
    return refuse(503, `the token could not be reviewed: ${error instanceof Error ? error.message : 'unknown error'}`);
  }
}

function refuse(status: 401 | 403 | 404 | 503, why: string): Verdict {
  return { kind: 'refuse', status, why };
}

async function inTime<T>(clock: Clock, promise: Promise<T>): Promise<T> {
  const deadline = deadlineSignal(clock, HANDSHAKE_MS_MAX, { reason: new Error('it took too long') });
  const late = new Promise<never>((_, reject) => {
    deadline.signal.addEventListener('abort', () => reject(deadline.signal.reason), { once: true });
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    deadline.cancel();
  }
}

/** Answers the upgrade with a bare HTTP status and ends the connection. The reason is for the log, not for the caller. */
export function renderRefusal(socket: Duplex, status: number): void {
  const challenge = status === 401 ? 'WWW-Authenticate: Bearer\r\n' : '';
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${challenge}Connection: close\r\nContent-Length: 0\r\n\r\n`,
  );
}
