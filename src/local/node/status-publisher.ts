// Brings the status of one Pod to the API: only the newest one, one call at a time, tried again while the API is away.
// Decides nothing about the status. A Pod that is gone from the API ends it silently.
import { isDeepStrictEqual } from 'node:util';
import { createBackoff } from '../../lib/backoff.ts';
import { type Clock, delay } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { Rng } from '../../lib/rng.ts';
import { API_BACKOFF } from './bounds.ts';
import type { NodeApi, PodRef, PodStatusPatch } from './node-api.ts';

export interface StatusPublisher {
  readonly ref: PodRef;
  publish(status: PodStatusPatch): void;
  /** Resolves when the newest status has arrived, or can never arrive. Never rejects. */
  flushed(): Promise<void>;
  /** Gives up what has not arrived. */
  stop(): void;
}

interface PublisherOptions {
  readonly ref: PodRef;
  readonly api: NodeApi;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
}

export function createStatusPublisher(options: PublisherOptions): StatusPublisher {
  const { ref, api, clock, rng, log } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const backoff = createBackoff({ ...API_BACKOFF, rng });
  let wanted: PodStatusPatch | undefined;
  let arrived: PodStatusPatch | undefined;
  let sending: Promise<void> | undefined;

  const sendOne = async (status: PodStatusPatch) => {
    const answer = await api.patchPodStatus(ref, status, signal);
    if (answer.ok || answer.error.reason !== 'Unavailable') {
      // A refused status is not sent again; the next one may be accepted.
      arrived = status;
      backoff.reset();
      if (answer.ok) return;
      if (answer.error.reason === 'Refused')
        log.error({ pod: ref.name, error: answer.error.message }, 'the status of a Pod was refused');
      else stopping.abort(new Error('the Pod is gone'));
      return;
    }
    log.debug({ pod: ref.name, error: answer.error.message }, 'the status of a Pod is sent again');
    await delay(clock, backoff.nextMs(), signal).catch(() => undefined);
  };

  const sendAll = async () => {
    while (wanted !== undefined && !signal.aborted && !isDeepStrictEqual(wanted, arrived)) await sendOne(wanted);
  };

  return {
    ref,
    publish(status) {
      wanted = status;
      sending ??= sendAll().finally(() => {
        sending = undefined;
      });
    },
    async flushed() {
      while (sending !== undefined) await sending;
    },
    stop: () => stopping.abort(new Error('the node stops')),
  };
}
