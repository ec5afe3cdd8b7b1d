// From a call to its route and from what a route throws to an answer, for every model server process of ours.
// Must never serve a call without the key, and never leave a call without an answer.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Log } from '../../lib/log.ts';
import { createKeyCheck, type KeyCheck } from './bearer-key.ts';
import { Busy, Refusal, refusalOf, sendRefusal } from './refusal.ts';

type Route<Context> = (request: IncomingMessage, response: ServerResponse, context: Context) => Promise<void>;

/** By path. */
export type RouteTable<Context> = Readonly<
  Record<string, { readonly method: 'GET' | 'POST'; readonly run: Route<Context> }>
>;

/** The listener of the process's HTTP server. Never throws and never rejects. */
export function createDispatch<Context>(
  routes: RouteTable<Context>,
  context: Context,
  { key, log }: { readonly key: string; readonly log: Log },
): (request: IncomingMessage, response: ServerResponse) => void {
  const hasKey = createKeyCheck(key);
  return (request, response) => {
    // A caller that hangs up shows in `close`; the error event alone would end the process.
    response.on('error', () => {});
    const run = async () => {
      await findRoute(routes, request, hasKey)(request, response, context);
    };
    void run().catch((error: unknown) => answerFailure(response, error, log));
  };
}

function findRoute<Context>(routes: RouteTable<Context>, request: IncomingMessage, hasKey: KeyCheck): Route<Context> {
  if (!hasKey(request.headers.authorization)) {
    throw new Refusal('invalid_api_key', 'This model server needs its key as a bearer token.');
  }
  const path = request.url?.split('?', 1)[0] ?? '';
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (route === undefined) throw new Refusal('route_not_found', 'This model server has no such path.');
  if (request.method !== route.method) {
    throw new Refusal('method_not_allowed', `This path takes ${route.method} alone.`);
  }
  return route.run;
}

function answerFailure(response: ServerResponse, error: unknown, log: Log): void {
  if (error instanceof Busy) {
    const body = { error: { message: error.message, type: 'server_error', param: null, code: 'busy' } };
    sendJson(response, 409, body);
    return;
  }
  const refusal = refusalOf(error);
  if (refusal.code === 'internal_error') {
    log.error({ said: error instanceof Error ? (error.stack ?? error.message) : String(error) }, 'A call failed.');
  }
  if (refusal.code === 'client_gone') response.destroy();
  // What still comes of a body that is too large is thrown away: the connection ends with the answer.
  if (refusal.code === 'body_too_large' && !response.headersSent) response.setHeader('connection', 'close');
  sendRefusal(response, refusal);
}

export function sendJson(response: ServerResponse, status: number, body: object): void {
  if (response.headersSent || response.destroyed) return;
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}
