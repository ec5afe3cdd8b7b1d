// Bytes on a connection that are no request: refused in OpenAI's shape where an answer can still be written, and by the end
// of the connection where one is running. Keeps which answers run on which connection, and nothing about them.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { OutcomeCode } from '../../api/outcomes.ts';
import { Ending } from '../ending.ts';
import { writeRefusal } from './raw-refusal.ts';

export interface ClientErrors {
  /** Every request that came, before anything is done with it. */
  onRequest(request: IncomingMessage, response: ServerResponse): void;
  onError(error: Error & { code?: string }, socket: Socket): void;
}

/** `count` is told what was refused here. A request that is running counts by itself. */
export function createClientErrors(count: (outcome: OutcomeCode) => void): ClientErrors {
  const running = new WeakMap<Socket, Set<ServerResponse>>();
  return {
    onRequest({ socket }, response) {
      const answers = running.get(socket) ?? new Set();
      running.set(socket, answers.add(response));
      response.once('close', () => answers.delete(response));
    },
    onError(error, socket) {
      const answers = [...(running.get(socket) ?? [])];
      // A second head would be read as a part of the answer whose head is gone.
      if (socket.destroyed || error.code === 'ECONNRESET' || answers.some(({ headersSent }) => headersSent)) {
        socket.destroy();
        return;
      }
      const ending = describe(error.code);
      if (answers.length === 0) count(ending.code);
      writeRefusal(socket, ending);
    },
  };
}

function describe(code: string | undefined): Ending {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new Ending('headers_too_large', 'The head of the request is too large.');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Ending('request_timeout', 'The head of the request did not come in time.');
    default:
      return new Ending('invalid_request', 'This is not an HTTP request.');
  }
}
