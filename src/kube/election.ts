// Who leads: candidates of one Lease. Each leader's epoch is the Lease's transition count, raised whenever the Lease is taken, so
// it outranks all leaders before (docs/adr/0007-epoch.md). Times that others wrote are never compared with a
// clock: a Lease has expired when it was not seen to change for its duration. Never leads without the server's consent.
import type { Lease } from '../api/kinds.ts';
import { type Clock, deadlineSignal, delay } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Rng } from '../lib/rng.ts';
import type { ClusterError, ClusterResult } from '../ports/cluster.ts';
import {
  EPOCH_LAG_MINUTES,
  LEASE_GIVE_UP_MS,
  LEASE_LOOK_MS,
  LEASE_MS,
  LEASE_RELEASE_MS_MAX,
  LEASE_RENEW_MS,
  LEASE_RETRY_MS,
} from './bounds.ts';
import { type LeaseSpec, type LeaseStore, renderMicroTime } from './lease-store.ts';

export interface ElectionOptions {
  readonly store: LeaseStore;
  /** For sentences. */
  readonly leaseName: string;
  /** Who holds it. Whoever comes with the holder's name is its successor and waits for nothing: two that run at the same
   * time must have different names. */
  readonly holder: string;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  /** Told at every look of a candidate: who leads; undefined when the Lease may be taken. */
  onHolder?(holder: string | undefined): void;
}

export interface Leadership {
  readonly epoch: number;
  /** False as soon as somebody else may lead, also when this process was stopped in between. */
  isHeld(): boolean;
  /** Resolves with a sentence once it is lost for good; never after release. */
  readonly lost: Promise<string>;
  /** Gives it up, so that the next one need not wait. Never rejects; takes LEASE_RELEASE_MS_MAX at most. */
  release(): Promise<void>;
}

/** Resolves once this candidate leads. Rejects when the signal aborts, or with a sentence when the server will not have it. */
export async function campaign(options: ElectionOptions, signal: AbortSignal): Promise<Leadership> {
  const { clock, rng, log } = options;
  const sight = createSight(options);
  let told: string | undefined;
  for (;;) {
    const won = await tryOnce(options, sight, signal);
    if (won instanceof Leader) return won;
    signal.throwIfAborted();
    if (won !== told) log.info({ reason: won }, 'standing by');
    told = won;
    // Spread, so that candidates do not look at the same moment.
    await delay(clock, Math.round(LEASE_LOOK_MS * (0.75 + rng.next() / 2)), signal);
  }
}

/** One look, and one attempt where it may be taken. Returns why not. */
async function tryOnce(options: ElectionOptions, sight: Sight, signal: AbortSignal): Promise<Leader | string> {
  const { store, holder, clock } = options;
  const found = await store.read(signal);
  if (!found.ok && found.error.reason !== 'NotFound') return waitOrThrow(options, found.error);
  if (!found.ok && !sight.mayMake()) return 'the Lease was removed, and its holder may make it again';
  if (found.ok && !sight.mayTake(found.value)) {
    const current = found.value.spec?.holderIdentity;
    options.onHolder?.(current);
    return `${current ?? 'somebody'} leads`;
  }
  const epoch = found.ok ? nextEpoch(found.value, clock) : firstEpoch(clock);
  const sentAtMs = clock.nowMs();
  const now = renderMicroTime(clock);
  const spec: LeaseSpec = {
    holderIdentity: holder,
    leaseDurationSeconds: LEASE_MS / 1000,
    acquireTime: now,
    renewTime: now,
    leaseTransitions: epoch,
  };
  options.onHolder?.(undefined);
  const written = found.ok ? await store.write(found.value, spec, signal) : await store.create(spec, signal);
  if (written.ok) return new Leader(options, { lease: written.value, epoch, sentAtMs });
  const wasFaster = written.error.reason === 'Conflict' || written.error.reason === 'AlreadyExists';
  return wasFaster ? 'another candidate was faster' : waitOrThrow(options, written.error);
}

/** Where a Lease begins that is not there: the minutes since 1970. Somebody may have deleted the last one, and what obeyed its
 * epochs must obey this one, too; a Lease changes hands less than once a minute. */
function firstEpoch(clock: Clock): number {
  return Math.max(1, Math.floor(clock.wallMs() / 60_000));
}

/**
 * One more than the last, or the minutes since 1970 where these are far above it: a server that was restored from a backup has an
 * older count than what the fleet has obeyed, and would be obeyed by nobody. Leaders that follow each other soon are counted.
 */
function nextEpoch({ spec }: Lease, clock: Clock): number {
  const counted = (spec?.leaseTransitions ?? 0) + 1;
  const minutes = firstEpoch(clock);
  return minutes - counted >= EPOCH_LAG_MINUTES ? minutes : counted;
}

/** A server that cannot answer now may answer later; one that says no has to be told otherwise by a person. */
function waitOrThrow({ leaseName }: ElectionOptions, error: ClusterError): string {
  const sentence = `the Lease ${leaseName} cannot be taken: ${error.message}`;
  const isPassing = ['Unavailable', 'Timeout', 'Throttled', 'Aborted'].includes(error.reason);
  if (!isPassing) throw new Error(`${sentence[0]?.toUpperCase()}${sentence.slice(1)}`);
  return sentence;
}

interface Sight {
  mayTake(lease: Lease): boolean;
  /** Of a Lease that is not there. */
  mayMake(): boolean;
}

/** Remembers when the Lease was last seen to change. */
function createSight({ clock, holder }: ElectionOptions): Sight {
  let seen: { readonly version: string; readonly atMs: number } | undefined;
  let removedMs: number | undefined;
  return {
    /** Who held it does not know yet that it is gone, and acts until its time is over. */
    mayMake() {
      if (seen === undefined) return true;
      removedMs ??= clock.nowMs();
      return clock.nowMs() - removedMs >= LEASE_MS;
    },
    mayTake({ metadata, spec = {} }) {
      const version = `${metadata.uid}/${metadata.resourceVersion}`;
      if (seen?.version !== version) seen = { version, atMs: clock.nowMs() };
      removedMs = undefined;
      const { holderIdentity = '', leaseDurationSeconds = LEASE_MS / 1000 } = spec;
      if (holderIdentity === '' || holderIdentity === holder) return true;
      return clock.nowMs() - seen.atMs >= leaseDurationSeconds * 1000;
    },
  };
}

/** What became of a renewal. */
interface Problem {
  readonly sentence: string;
  /** Somebody else leads. */
  readonly isFinal: boolean;
}

function renderLoss(problem: Problem | undefined): string {
  const why = problem === undefined ? 'This process stood still.' : `The last attempt: ${problem.sentence}.`;
  return `The Lease was not renewed for ${LEASE_GIVE_UP_MS / 1000} s. ${why}`;
}

class Leader implements Leadership {
  readonly epoch: number;
  readonly lost: Promise<string>;
  readonly #options: ElectionOptions;
  readonly #ending = new AbortController();
  readonly #renewals: Promise<void>;
  #lose: (sentence: string) => void = () => {};
  #lease: Lease;
  /** When the last request was sent that the server took: what others saw is not older. */
  #heldSinceMs: number;
  #isOver = false;

  constructor(options: ElectionOptions, taken: { lease: Lease; epoch: number; sentAtMs: number }) {
    this.#options = options;
    this.epoch = taken.epoch;
    this.#lease = taken.lease;
    this.#heldSinceMs = taken.sentAtMs;
    this.lost = new Promise((resolve) => {
      this.#lose = resolve;
    });
    this.#renewals = this.#keep();
  }

  isHeld(): boolean {
    return !this.#isOver && this.#ageMs() < LEASE_MS;
  }

  async release(): Promise<void> {
    if (this.#ending.signal.aborted) return;
    const wasHeld = this.isHeld();
    this.#ending.abort(new Error('released'));
    await this.#renewals;
    this.#isOver = true;
    if (!wasHeld) return;
    const { clock, log } = this.#options;
    const patience = deadlineSignal(clock, LEASE_RELEASE_MS_MAX, { reason: new Error('late') });
    let written = await this.#giveBack(patience.signal);
    // A renewal that was cut off may have reached the server.
    const isOurs =
      !written.ok && written.error.reason === 'Conflict' && !(await this.#lookAgain(patience.signal))?.isFinal;
    if (isOurs) written = await this.#giveBack(patience.signal);
    patience.cancel();
    if (!written.ok) log.warn({ error: written.error.message }, 'the Lease was not given back: it expires by itself');
  }

  /** The transition count stays: the next leader counts on from it. */
  #giveBack(signal: AbortSignal): ClusterResult<Lease> {
    return this.#options.store.write(this.#lease, { holderIdentity: '', leaseDurationSeconds: 1 }, signal);
  }

  #ageMs(): number {
    return this.#options.clock.nowMs() - this.#heldSinceMs;
  }

  async #keep(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#ending;
    let problem: Problem | undefined;
    for (;;) {
      try {
        await delay(clock, problem === undefined ? LEASE_RENEW_MS : LEASE_RETRY_MS, signal);
      } catch {
        return;
      }
      // Asks nobody then: it has lost.
      if (this.#ageMs() >= LEASE_GIVE_UP_MS) return this.#end(renderLoss(problem));
      problem = await this.#renew();
      if (signal.aborted) return;
      if (problem?.isFinal === true) return this.#end(problem.sentence);
    }
  }

  #end(sentence: string): void {
    this.#isOver = true;
    this.#options.log.error({ epoch: this.epoch, reason: sentence }, 'the leadership is lost');
    this.#lose(sentence);
  }

  async #renew(): Promise<Problem | undefined> {
    const { clock, store, leaseName } = this.#options;
    const leftMs = LEASE_GIVE_UP_MS - this.#ageMs();
    const late = deadlineSignal(clock, leftMs, { reason: new Error('late'), parent: this.#ending.signal });
    const sentAtMs = clock.nowMs();
    try {
      const written = await store.write(this.#lease, { renewTime: renderMicroTime(clock) }, late.signal);
      if (written.ok) return this.#accept(written.value, sentAtMs);
      if (written.error.reason === 'Conflict') return await this.#lookAgain(late.signal);
      if (written.error.reason === 'NotFound') return await this.#restore(late.signal);
      return { sentence: `the Lease ${leaseName} was not written: ${written.error.message}`, isFinal: false };
    } finally {
      late.cancel();
    }
  }

  #accept(lease: Lease, sentAtMs: number): undefined {
    this.#lease = lease;
    this.#heldSinceMs = sentAtMs;
  }

  /** Somebody wrote into the Lease: another leader, or a person who set a label. */
  async #lookAgain(signal: AbortSignal): Promise<Problem | undefined> {
    const found = await this.#options.store.read(signal);
    if (!found.ok) return { sentence: found.error.message, isFinal: false };
    const { holderIdentity, leaseTransitions } = found.value.spec ?? {};
    if (holderIdentity !== this.#options.holder || leaseTransitions !== this.epoch) {
      return { sentence: `Another controller leads: ${holderIdentity || 'nobody, for the moment'}.`, isFinal: true };
    }
    this.#lease = found.value;
    return { sentence: 'the Lease was changed by somebody else', isFinal: false };
  }

  /** Somebody removed the Lease. Made anew with our epoch, so that the count never goes back. */
  async #restore(signal: AbortSignal): Promise<Problem | undefined> {
    const { store, clock, holder } = this.#options;
    const sentAtMs = clock.nowMs();
    const now = renderMicroTime(clock);
    const made = await store.create(
      {
        holderIdentity: holder,
        leaseDurationSeconds: LEASE_MS / 1000,
        acquireTime: now,
        renewTime: now,
        leaseTransitions: this.epoch,
      },
      signal,
    );
    if (made.ok) return this.#accept(made.value, sentAtMs);
    if (made.error.reason === 'AlreadyExists') return this.#lookAgain(signal);
    return { sentence: made.error.message, isFinal: false };
  }
}
