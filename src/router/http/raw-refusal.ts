// An error written by hand, where there is no answer object: bytes that are no request, and upgrades that are refused. The
// connection ends with it.
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { renderErrorBody } from '../../api/outcomes.ts';
import type { Ending } from '../ending.ts';
import { endingStatus, renderEndingHeaders } from '../error-text.ts';

export function writeRefusal(socket: Duplex, ending: Ending): void {
  if (socket.destroyed) return;
  const status = endingStatus(ending);
  const body = JSON.stringify(renderErrorBody(ending.code, ending.message, ending.details.param ?? null));
  const headers = {
    ...renderEndingHeaders(ending),
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  socket.end([`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, ...lines, '', body].join('\r\n'));
}
