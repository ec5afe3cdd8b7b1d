// The frame of every request, whatever its route and its transport: served, and settled exactly once. What a stage throws
// ends here and nowhere else.
import type { Call } from './call.ts';
import type { RouterContext } from './context.ts';
import { Ending, endingOf } from './ending.ts';
import { settle } from './stage/settle.ts';

/** Never rejects. */
export async function serveCall(call: Call, context: RouterContext, serve: () => Promise<void>): Promise<void> {
  context.calls.add(call);
  let ending: Ending | undefined;
  try {
    await serve();
  } catch (error) {
    if (!(error instanceof Ending)) {
      context.log.error({ error: describe(error), route: call.route }, 'a request broke a promise');
    }
    ending = endingOf(error);
  } finally {
    settle(call, ending, context);
    context.calls.settled(call);
  }
}

/** Throws an Ending when this router takes nothing new. */
export function refuseWhileDraining(context: RouterContext): void {
  if (context.isDraining()) throw draining();
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
