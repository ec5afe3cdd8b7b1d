// Who may open a WebSocket: decided on the HTTP request, before there is one. Path, page, subprotocol, key; the key comes in
// the Authorization header or, from a browser, as a subprotocol. Never logs or answers with what was presented.
import type { IncomingMessage } from 'node:http';
import { CHAT_PATH } from '../../core/route/inference-routes.ts';
import { bearerKey, DEFAULT_TENANT, type KnownKey } from '../api-keys.ts';
import { Ending } from '../ending.ts';
import { type Door, judgePage, unknownKey } from '../stage/authenticate.ts';

/** What both sides speak. A caller that names subprotocols must name this one. */
export const CHAT_PROTOCOL = 'stoker.chat.v1';
/** Followed by the key in base64url. Browsers cannot set headers on a WebSocket. */
const KEY_PROTOCOL = 'stoker.key.';
const KEY_TEXT_MAX = 512;

export interface SocketOwner {
  readonly tenant: string;
  /** Undefined where no keys are configured. */
  readonly key: KnownKey | undefined;
}

/** Throws an Ending. */
export function reviewUpgrade(request: IncomingMessage, door: Door): SocketOwner {
  const { headers, url = '' } = request;
  judgePage({ host: headers.host, origin: headers.origin }, door);
  const [path = ''] = url.split('?', 1);
  if (path !== CHAT_PATH) {
    throw new Ending('route_not_found', `There is no WebSocket at ${path.slice(0, 200)}. It is at ${CHAT_PATH}.`);
  }
  const protocols = readProtocols(headers['sec-websocket-protocol']);
  if (protocols.length > 0 && !protocols.includes(CHAT_PROTOCOL)) {
    throw new Ending(
      'invalid_request',
      `The subprotocol of this WebSocket is ${CHAT_PROTOCOL}: name it, or name none.`,
    );
  }
  return ownerOf(headers.authorization, protocols, door);
}

function ownerOf(authorization: string | undefined, protocols: readonly string[], door: Door): SocketOwner {
  if (door.apiKeys === undefined) return { tenant: DEFAULT_TENANT, key: undefined };
  const presented = bearerKey(authorization) ?? keyOf(protocols);
  const key = presented === undefined ? undefined : door.apiKeys.find(presented);
  if (key === undefined) throw unknownKey(presented !== undefined);
  return { tenant: key.tenant, key };
}

function readProtocols(header: string | undefined): string[] {
  return header === undefined ? [] : header.split(',').map((name) => name.trim());
}

function keyOf(protocols: readonly string[]): string | undefined {
  const text = protocols.find((name) => name.startsWith(KEY_PROTOCOL))?.slice(KEY_PROTOCOL.length);
  if (text === undefined || text.length > KEY_TEXT_MAX || !/^[A-Za-z0-9_-]+$/.test(text)) return undefined;
  return Buffer.from(text, 'base64url').toString('utf8');
}
