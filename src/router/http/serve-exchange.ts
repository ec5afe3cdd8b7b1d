// One HTTP request as a call: taken in, let in, served by its route. A page's question before its request is answered here
// and goes no further.
import type { IncomingMessage } from 'node:http';
import { type Call, openCall } from '../call.ts';
import type { RouterContext } from '../context.ts';
import { refuseWhileDraining, serveCall } from '../serve-call.ts';
import { authenticate, isPreflight, preflightHeaders } from '../stage/authenticate.ts';
import { createHttpSink, type HttpSink, type RawExchange } from './http-sink.ts';

export type Serve = (call: Call, context: RouterContext, request: IncomingMessage) => Promise<void>;

/** Never rejects. */
export function serveExchange(exchange: RawExchange, route: string, serve: Serve, context: RouterContext) {
  const { request } = exchange;
  const { clock, bounds } = context;
  let sink: HttpSink | undefined;
  const call = openCall(
    {
      head: { method: request.method ?? '', url: request.url ?? '', headers: request.headers },
      route,
      openSink(handle) {
        sink = createHttpSink(exchange, { clock, ...bounds }, handle);
        return sink;
      },
    },
    clock,
  );
  return serveCall(call, context, async () => {
    if (isPreflight(call, context.door)) {
      sink?.empty(204, preflightHeaders);
      return;
    }
    refuseWhileDraining(context);
    authenticate(call, context.door);
    await serve(call, context, request);
  });
}
