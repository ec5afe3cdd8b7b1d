// Makes a response leave a few bytes at a time. Holds what waits; the one who writes asks `isDrained` before writing more.
// Must never lose or reorder a byte, and stops its timer when the response is closed.
import type { ServerResponse } from 'node:http';
import type { Clock, Timer } from '../../lib/clock.ts';

/** So small that every frame comes in many pieces. */
const BYTES_PER_PIECE = 16;

export interface Trickle {
  isDrained(): boolean;
}

/** Takes over `response.write` and `response.end`. `onDrained` is called whenever nothing waits any more. */
export function trickleResponse(
  response: ServerResponse,
  { clock, everyMs, onDrained }: { clock: Clock; everyMs: number; onDrained: () => void },
): Trickle {
  const write = response.write.bind(response);
  const end = response.end.bind(response);
  let waiting = Buffer.alloc(0);
  let isEnding = false;
  let timer: Timer | undefined;
  const take = (bytes: unknown) => {
    if (typeof bytes === 'string' || bytes instanceof Uint8Array)
      waiting = Buffer.concat([waiting, Buffer.from(bytes)]);
    if (waiting.length > 0) timer ??= clock.after(everyMs, send);
  };
  const send = () => {
    timer = undefined;
    if (response.destroyed) return;
    write(waiting.subarray(0, BYTES_PER_PIECE));
    waiting = waiting.subarray(BYTES_PER_PIECE);
    if (waiting.length > 0) timer = clock.after(everyMs, send);
    else if (isEnding) end();
    else onDrained();
  };
  response.on('close', () => timer?.cancel());
  // A piece of 16 bytes never fills a socket, so the writer is never told to wait for `drain`.
  response.write = (bytes: unknown) => {
    take(bytes);
    return true;
  };
  response.end = (bytes?: unknown) => {
    isEnding = true;
    take(bytes);
    if (waiting.length === 0) end();
    return response;
  };
  return { isDrained: () => waiting.length === 0 };
}
