// What a replica does between winning the Lease and leading, for whoever asks it meanwhile: it does not stand by any more, and it
// decides nothing yet. Owns the sentence of what it waits for. It keeps the Lease: another replica would wait for the same.
import type { Clock } from '../lib/clock.ts';
import { LEADER_START_MS } from './bounds.ts';

export interface LeaderStart {
  /** The Lease is won. */
  begin(): void;
  /** Something that it cannot lead without was not to be had, and is tried again. */
  troubled(sentence: string): void;
  /** Undefined while another replica leads. */
  state(): Starting | undefined;
}

export interface Starting {
  /** It takes longer than a start does. */
  readonly isLate: boolean;
  readonly sentence: string;
}

export interface LeaderStartOptions {
  readonly clock: Clock;
  /** Told of each trouble of a start that is late, once. */
  onLate(sentence: string): void;
}

export function createLeaderStart({ clock, onLate }: LeaderStartOptions): LeaderStart {
  let beganAtMs: number | undefined;
  let trouble: string | undefined;
  let told: string | undefined;
  const isLate = (sinceMs: number) => clock.nowMs() - sinceMs >= LEADER_START_MS;
  return {
    begin() {
      beganAtMs = clock.nowMs();
    },
    troubled(said) {
      // What a server says has no full stop.
      const sentence = said.endsWith('.') ? said : `${said}.`;
      trouble = sentence;
      if (beganAtMs === undefined || !isLate(beganAtMs) || sentence === told) return;
      told = sentence;
      onLate(sentence);
    },
    state() {
      if (beganAtMs === undefined) return undefined;
      const waits = trouble === undefined ? '' : ` ${trouble} It is tried again and again.`;
      return { isLate: isLate(beganAtMs), sentence: `This replica holds the Lease and does not lead yet.${waits}` };
    },
  };
}
