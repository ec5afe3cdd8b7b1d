// How much a request may bring: the size of its body, the time to bring it, and the bodies of all requests together.
// Reads the body as raw bytes and never looks into it.
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../lib/clock.ts';
import type { RouterBounds } from '../bounds.ts';
import { type Call, reasonOf } from '../call.ts';
import { Ending } from '../ending.ts';

/** Bytes of bodies that are in memory; the router has one. */
export interface BodyBudget {
  /** False when there is no room. */
  take(bytes: number): boolean;
  giveBack(bytes: number): void;
}

export function createBodyBudget(bytesMax: number): BodyBudget {
  let used = 0;
  return {
    take(bytes) {
      if (used + bytes > bytesMax) return false;
      used += bytes;
      return true;
    },
    giveBack(bytes) {
      used -= bytes;
    },
  };
}

export interface BodyLimits {
  readonly clock: Clock;
  readonly bounds: RouterBounds;
  readonly bodies: BodyBudget;
}

/** The whole body. Throws an Ending. The bytes are counted in `record.bodyBytes`: whoever settles gives them back. */
export async function limit(call: Call, request: IncomingMessage, limits: BodyLimits): Promise<Buffer> {
  const { headers } = request;
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new Ending('invalid_request', 'Compressed bodies are not accepted: send the JSON as it is.');
  }
  if (Number(headers['content-length'] ?? 0) > limits.bounds.bodyBytesMax) throw tooLarge(limits.bounds.bodyBytesMax);
  const late = limits.clock.after(limits.bounds.bodyMsMax, () =>
    call.end(
      new Ending('request_timeout', `The body did not come within ${limits.bounds.bodyMsMax / 1000} seconds.`, {
        headers: { connection: 'close' },
      }),
    ),
  );
  try {
    return await readBody(call, request, limits);
  } finally {
    late.cancel();
  }
}

/** The same for a body that is here already. Throws an Ending. */
export function limitWhole(call: Call, bytes: Buffer, { bounds, bodies }: BodyLimits): Buffer {
  if (bytes.length > bounds.bodyBytesMax) throw tooLarge(bounds.bodyBytesMax);
  if (!bodies.take(bytes.length)) throw noRoom();
  call.record.bodyBytes = bytes.length;
  return bytes;
}

function readBody(call: Call, request: IncomingMessage, { bounds, bodies }: BodyLimits): Promise<Buffer> {
  const { record, signal } = call;
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const finish = (settle: () => void) => {
      request.off('data', onData);
      request.off('end', onEnd);
      request.off('close', onClose);
      signal.removeEventListener('abort', onAbort);
      settle();
    };
    const stop = (ending: Ending) => finish(() => reject(ending));
    const onData = (chunk: Buffer) => {
      if (record.bodyBytes + chunk.length > bounds.bodyBytesMax) return stop(tooLarge(bounds.bodyBytesMax));
      if (!bodies.take(chunk.length)) return stop(noRoom());
      record.bodyBytes += chunk.length;
      chunks.push(chunk);
    };
    const onEnd = () => finish(() => resolve(Buffer.concat(chunks)));
    const onClose = () => stop(new Ending('client_gone', 'The caller closed the connection.'));
    const onAbort = () => stop(reasonOf(call));
    if (signal.aborted) return onAbort();
    request.on('data', onData);
    request.on('end', onEnd);
    request.on('close', onClose);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

function tooLarge(bytesMax: number): Ending {
  return new Ending('body_too_large', `The body has more than ${bytesMax} bytes, which is the most that is accepted.`);
}

function noRoom(): Ending {
  return new Ending('queue_full', 'Too many large requests are waiting. Try again in a moment.', {
    headers: { 'retry-after': '1' },
  });
}
