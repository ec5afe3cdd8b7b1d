// The frame of every request, whatever its route: taken in, let in, served, settled exactly once. What a stage throws ends
// here and nowhere else.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Call, openCall } from '../call.ts';
import type { RouterContext } from '../context.ts';
import { Ending, endingOf } from '../ending.ts';
import { authenticate, isPreflight, preflightHeaders } from '../stage/authenticate.ts';
import { settle } from '../stage/settle.ts';
import { sendEmpty } from './answers.ts';

export type Serve = (call: Call, context: RouterContext) => Promise<void>;

export interface RawExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Never rejects. */
export async function serveCall(exchange: RawExchange, route: string, serve: Serve, context: RouterContext) {
  const call = openCall({ ...exchange, route }, context.clock);
  context.calls.add(call);
  let ending: Ending | undefined;
  try {
    if (isPreflight(call, context.door)) sendEmpty(call, 204, preflightHeaders);
    else await letIn(call, serve, context);
  } catch (error) {
    if (!(error instanceof Ending)) context.log.error({ error: describe(error), route }, 'a request broke a promise');
    ending = endingOf(error);
  } finally {
    settle(call, ending, { ...context, lingerMsMax: context.bounds.lingerMsMax });
    context.calls.settled(call);
  }
}

async function letIn(call: Call, serve: Serve, context: RouterContext): Promise<void> {
  if (context.isDraining()) throw draining();
  authenticate(call, context.door);
  await serve(call, context);
}

export function draining(): Ending {
  return new Ending('draining', 'This router is shutting down. Try again in a moment.', {
    headers: { 'retry-after': '1', connection: 'close' },
  });
}

/** Where it happened, without what was in it. */
function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message).slice(0, 1500) : 'something that is no error';
}
