// The version of the slot keys that all slots move to, and the keys themselves. Raises the version when its time is over, in
// the Secret first: a controller that leads next goes on from there. Never decides when a slot changes (key-changes.ts does).
import { type Clock, every, type Timer } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Cluster } from '../ports/cluster.ts';
import { KEY_LOOK_MS } from './bounds.ts';
import {
  deriveSlotKey,
  FIRST_KEY_VERSION,
  type KeySource,
  readOrMake,
  SEED_SECRET,
  writeVersion,
} from './slot-keys.ts';

export interface KeyRing {
  /** The version that all slots move to. */
  wanted(): number;
  key(podUid: string, version: number): string;
  /** A slot whose Pod is gone. */
  forget(podUid: string): void;
  start(source: KeySource): void;
  stop(): void;
}

interface KeyRingOptions {
  readonly cluster: Cluster;
  readonly rotationMs: number;
  readonly clock: Clock;
  readonly log: Log;
  onChange(): void;
}

export function createKeyRing(options: KeyRingOptions): KeyRing {
  return new SecretKeyRing(options);
}

/** A seed derives every version from `since` on, until the next seed does. */
interface Seed {
  readonly seed: Uint8Array;
  readonly since: number;
}

class SecretKeyRing implements KeyRing {
  readonly #options: KeyRingOptions;
  readonly #stopping = new AbortController();
  /** The newest first. There is more than one only when the Secret was replaced under a running controller. */
  #seeds: readonly Seed[] = [];
  #wanted = FIRST_KEY_VERSION;
  readonly #keys = new Map<string, Map<number, string>>();
  #timer: Timer | undefined;
  #isLooking = false;

  constructor(options: KeyRingOptions) {
    this.#options = options;
  }

  wanted = () => this.#wanted;

  key(podUid: string, version: number): string {
    const known = this.#keys.get(podUid)?.get(version);
    if (known !== undefined) return known;
    const seed = this.#seeds.find(({ since }) => since <= version) ?? this.#seeds.at(-1);
    if (seed === undefined) throw new Error('slots are told something after the seed is there');
    const key = deriveSlotKey(seed.seed, podUid, version);
    const kept = [...(this.#keys.get(podUid) ?? [])].slice(-2);
    this.#keys.set(podUid, new Map([...kept, [version, key]]));
    return key;
  }

  forget(podUid: string): void {
    this.#keys.delete(podUid);
  }

  start(source: KeySource): void {
    const { clock, rotationMs } = this.#options;
    this.#seeds = [{ seed: source.seed, since: FIRST_KEY_VERSION }];
    this.#wanted = source.version;
    this.#timer = every(clock, Math.min(KEY_LOOK_MS, rotationMs), () => void this.#look(), { background: true });
  }

  stop(): void {
    this.#stopping.abort(new Error('the controller stops'));
    this.#timer?.cancel();
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      await this.#readAgain();
    } finally {
      this.#isLooking = false;
    }
  }

  async #readAgain(): Promise<void> {
    const { cluster, clock } = this.#options;
    const first = { version: this.#wanted + 1, wallMs: clock.wallMs() };
    const found = await readOrMake(cluster, first, this.#stopping.signal);
    if (this.#stopping.signal.aborted) return;
    if (!found.ok) this.#complain(found.error);
    else if (!this.#isKnown(found.value.seed)) await this.#takeSeed(found.value);
    else if (found.value.version > this.#wanted) this.#raise(found.value.version);
    else if (this.#isDue(found.value)) await this.#rotate(found.value);
  }

  /** A time that lies far ahead was written by a clock that was wrong: it must not hold the change back for ever. */
  #isDue({ rotatedAtMs }: KeySource): boolean {
    const { clock, rotationMs } = this.#options;
    return rotatedAtMs === undefined || Math.abs(clock.wallMs() - rotatedAtMs) >= rotationMs;
  }

  #isKnown(seed: Uint8Array): boolean {
    const [newest] = this.#seeds;
    return newest !== undefined && Buffer.compare(newest.seed, seed) === 0;
  }

  /** Somebody replaced the seed: slots move to it as they do to a new version, and older versions keep the seed they had. */
  async #takeSeed(source: KeySource): Promise<void> {
    const version = Math.max(source.version, this.#wanted + 1);
    if (version !== source.version && !(await this.#write(version, source))) return;
    this.#seeds = [{ seed: source.seed, since: version }, ...this.#seeds].slice(0, 2);
    this.#options.log.warn({ secret: SEED_SECRET }, 'the seed of the slot keys was replaced');
    this.#raise(version);
  }

  async #rotate(source: KeySource): Promise<void> {
    const version = this.#wanted + 1;
    if (await this.#write(version, source)) this.#raise(version);
  }

  async #write(version: number, { resourceVersion }: KeySource): Promise<boolean> {
    const { cluster, clock } = this.#options;
    const facts = { version, wallMs: clock.wallMs(), resourceVersion };
    const written = await writeVersion(cluster, facts, this.#stopping.signal);
    if (this.#stopping.signal.aborted) return false;
    if (!written.ok) this.#complain(written.error);
    return written.ok;
  }

  #raise(version: number): void {
    this.#wanted = version;
    this.#options.log.info({ version }, 'slots move to a new version of their keys');
    this.#options.onChange();
  }

  /** The keys stay as they are and are looked at again soon. */
  #complain(error: string): void {
    this.#options.log.warn({ secret: SEED_SECRET, error }, 'the slot keys could not be renewed and are tried again');
  }
}
