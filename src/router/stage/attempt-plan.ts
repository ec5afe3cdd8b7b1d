// What one attempt is made of, for an agent and for an upstream alike, and what both do with an answer. Decides nothing.
import type { Dispatcher, Pool } from 'undici';
import { describeLargeAnswer } from '../../core/route/large-answer.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Call } from '../call.ts';
import type { Grant } from '../queue/model-queue.ts';
import type { Relay } from '../stream/relay.ts';
import { type AttemptEnd, failureCodeOf } from './judge.ts';

export interface AttemptPlan {
  readonly call: Call;
  readonly grant: Grant;
  readonly pool: Pool;
  /** The route's path; the agent has the same ones. */
  readonly path: string;
  readonly responseId: string;
  readonly body: Uint8Array;
  /** The same for an upstream, which calls the model something else. */
  bodyFor(model: string): Uint8Array;
  readonly servedName: string;
  readonly answerBytesMax: number;
  readonly clock: Clock;
  remainingMs(): number;
  /** Calls it when the slot is lost while nothing has been sent to the caller. Gives what must be called at the end. */
  onSlotLost(giveUp: () => void): () => void;
  /** A piece of the answer came. */
  onHeard(): void;
  /** For a stream: where its frames go. */
  readonly relay: Relay | undefined;
  /** For a JSON answer: called with the whole of it. */
  sendJson(body: Uint8Array): void;
}

export type GivenAnswer = Dispatcher.ResponseData;

/** An error answer, in bytes. */
export const ERROR_BYTES_MAX = 64 * 1024;

/** Undefined when there is more. */
export async function readBounded(given: GivenAnswer, bytesMax: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of given.body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Computing it again would only take an engine's time once more. */
export function declineLarge({ path, answerBytesMax }: AttemptPlan): AttemptEnd {
  const { status, code, body } = describeLargeAnswer(path, answerBytesMax);
  return { kind: 'Declined', status, body: Buffer.from(JSON.stringify(body)), code };
}

/** What has become of a stream that sends no more. */
export function endOfStream(relay: Relay): AttemptEnd {
  if (relay.state() === 'whole') return { kind: 'Answered' };
  const error = relay.error();
  if (error !== undefined) return { kind: 'Failed', code: failureCodeOf(error.code), message: error.message };
  return { kind: 'Failed', code: 'upstream_failed', message: 'The instance broke off the answer.' };
}
