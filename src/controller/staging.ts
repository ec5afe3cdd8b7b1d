// Has the files of a revision brought to every volume that its pools read: makes stagers, reads how they ended, and tries again
// after a growing wait. Level-driven: what is known lies in the revision's status and in the Pods, only tries are counted here.

import { kinds, type Pod } from '../api/kinds.ts';
import type { Model } from '../api/model.ts';
import { type ModelRevision, STAGED_MAX } from '../api/model-revision.ts';
import type { Pool } from '../api/pool.ts';
import type { AgeOf } from '../core/plan/node-loss.ts';
import { findStagerTrouble } from '../core/plan/stager-trouble.ts';
import { backoffCeilingMs } from '../lib/backoff.ts';
import { STAGE_BACKOFF } from './bounds.ts';
import type { ControllerOptions } from './options.ts';
import { findOwned } from './ownership.ts';
import { refusalOf } from './refusals.ts';
import { hasEnded, isLeaving } from './slot-pod.ts';
import { adviceOnLostSecret, sourceSecretOf } from './source-secret.ts';
import {
  isAtWork,
  mayTakeAway,
  renderStagerPod,
  type StagerTemplate,
  stagedRevisionOf,
  stagerEndOf,
  stagerName,
} from './stager-pod.ts';
import { createStagingProgress, type StagingProgress } from './staging-progress.ts';
import { createWeightRoom, type StagingWorld, type WeightRoom } from './staging-room.ts';
import {
  judgeStaging,
  type StagingCondition,
  type StagingStep,
  sayTriedAgain,
  type VolumeAbsence,
} from './staging-verdict.ts';
import { outcomeOfError, patchStatusOver } from './status.ts';
import { isHostPathRefused, isNodeLocal, weightsKeyOf } from './weight-volumes.ts';
import { done, type Outcome } from './work-queue.ts';

/** While something is in the way. */
const LOOK_AGAIN_MS = 2000;
/** A Pod that does not start, or does not end. */
const troubleAgain: Outcome = { type: 'again', afterMs: 10_000 };
/** The cache catches up with what was written. */
const EVICTED_MS = 100;
/** A stager that started this long ago has made its room. */
const ROOM_MS_MAX = 60_000;

/** What the revision's status says after a look. */
export interface StagingView {
  readonly stagedIn: readonly string[];
  readonly condition: StagingCondition;
  /** Of what was done about it. */
  readonly outcome: Outcome;
}

export interface Staging {
  /** Undefined for a revision without files to bring. `lost` are volumes in which a slot did not find them. */
  look(revision: ModelRevision, lost: readonly string[], signal: AbortSignal): Promise<StagingView | undefined>;
  /** Time until the files of a revision are there; undefined when no stager has said anything. */
  leftMsOf(revision: string): number | undefined;
  /** Its sleepers are in the way of files that somebody waits for. */
  givesWay(revision: string): boolean;
  forgetExcept(revisions: ReadonlySet<string>): void;
}

interface Place {
  readonly key: string;
  readonly pool: Pool;
}

/** One revision and one volume. */
interface Errand {
  readonly revision: ModelRevision;
  readonly model: Model | undefined;
  readonly place: Place;
  readonly isStaged: boolean;
}

interface Failure {
  readonly revision: string;
  readonly uid: string;
  readonly count: number;
  /** When the last one was seen, by our own time: the clock of its node may be hours off. */
  readonly seenMs: number;
}

export function createStaging(
  options: ControllerOptions,
  template: () => StagerTemplate,
  world: StagingWorld,
): Staging {
  return new Stagers(options, template, world);
}

class Stagers implements Staging {
  readonly #options: ControllerOptions;
  readonly #template: () => StagerTemplate;
  readonly #progress: StagingProgress;
  readonly #room: WeightRoom;
  readonly #ageOf: AgeOf;
  /** By Pod name: tries that failed. */
  readonly #failures = new Map<string, Failure>();

  constructor(options: ControllerOptions, template: () => StagerTemplate, world: StagingWorld) {
    this.#options = options;
    this.#template = template;
    this.#ageOf = world.ageOf;
    this.#progress = createStagingProgress(options.progress, options.clock);
    this.#room = createWeightRoom(options, world, this.#progress.bytesPerMs);
  }

  leftMsOf = (revision: string) => this.#progress.leftMsOf(revision);
  givesWay = (revision: string) => this.#room.givesWay(revision);

  forgetExcept(revisions: ReadonlySet<string>): void {
    for (const [name, { revision }] of this.#failures) if (!revisions.has(revision)) this.#failures.delete(name);
    this.#progress.forgetExcept(revisions);
    this.#room.noteUse();
  }

  async look(revision: ModelRevision, lost: readonly string[], signal: AbortSignal): Promise<StagingView | undefined> {
    if (revision.spec.weights?.fileSet === undefined) return undefined;
    const model = this.#userOf(revision);
    const before = (revision.status?.stagedIn ?? []).filter((key) => !lost.includes(key));
    const places = model === undefined ? [] : this.#placesOf(model);
    const staged = new Set(before);
    const steps: StagingStep[] = [];
    for (const place of places) {
      const step = await this.#step({ revision, model, place, isStaged: staged.has(place.key) }, signal);
      if (step.type === 'staged') staged.add(place.key);
      steps.push(step);
    }
    await this.#removeStrays(revision, places, signal);
    return {
      stagedIn: this.#listStaged(staged, places),
      condition: judgeStaging(revision, { model, steps, absence: this.#absenceOf(model) }),
      outcome: steps.map((step) => step.outcome ?? done).sort(byUrgency)[0] ?? done,
    };
  }

  /** The Model, while it uses the revision. Old revisions are not worth a download. */
  #userOf({ spec, metadata }: ModelRevision): Model | undefined {
    const model = this.#options.cluster.get(kinds.Model, spec.modelName);
    if (model === undefined || model.metadata.deletionTimestamp !== undefined) return undefined;
    const { stableRevision, candidateRevision } = model.status ?? {};
    return stableRevision === metadata.name || candidateRevision === metadata.name ? model : undefined;
  }

  /** A stager whose volume nobody needs any more: another version is used, or the node has no slot left. */
  async #removeStrays({ metadata }: ModelRevision, places: readonly Place[], signal: AbortSignal): Promise<void> {
    const wanted = new Set(places.map(({ key }) => stagerName(metadata.name, key)));
    for (const pod of this.#options.cluster.list(kinds.Pod)) {
      if (stagedRevisionOf(pod) !== metadata.name || wanted.has(pod.metadata.name)) continue;
      // What fails now is seen at the next look.
      if (pod.metadata.deletionTimestamp === undefined) await this.#remove(pod, signal);
    }
  }

  /** One for each volume, though several pools may share it. */
  #placesOf({ spec }: Model): Place[] {
    const places = new Map<string, Place>();
    for (const name of spec.pools) {
      const pool = this.#options.cluster.get(kinds.Pool, name);
      if (pool === undefined) continue;
      for (const node of this.#nodesOf(pool)) {
        const key = weightsKeyOf(pool, this.#options, node);
        if (key !== undefined && !places.has(key)) places.set(key, { key, pool });
      }
    }
    return [...places.values()];
  }

  /** The nodes of its slots, where each has a volume of its own. Else the volume is the same from everywhere. */
  #nodesOf(pool: Pool): readonly (string | undefined)[] {
    if (!isNodeLocal(pool, this.#options)) return [undefined];
    const slots = findOwned(this.#options.cluster.list(kinds.Pod), pool).filter(
      (pod) => !isLeaving(pod) && !hasEnded(pod),
    );
    return [...new Set(slots.flatMap(({ spec }) => spec.nodeName ?? []))];
  }

  #absenceOf(model: Model | undefined): VolumeAbsence {
    const pools = (model?.spec.pools ?? []).flatMap((name) => this.#options.cluster.get(kinds.Pool, name) ?? []);
    if (pools.some((pool) => isNodeLocal(pool, this.#options))) return 'NoSlot';
    return pools.some((pool) => isHostPathRefused(pool, this.#options)) ? 'HostPathRefused' : 'NoVolume';
  }

  /** Nodes come and go: what can be used now is remembered first. */
  #listStaged(staged: ReadonlySet<string>, places: readonly Place[]): string[] {
    if (staged.size <= STAGED_MAX) return [...staged].sort();
    const inUse = new Set(places.map(({ key }) => key));
    return [...staged]
      .sort((a, b) => Number(inUse.has(b)) - Number(inUse.has(a)))
      .slice(0, STAGED_MAX)
      .sort();
  }

  async #step(errand: Errand, signal: AbortSignal): Promise<StagingStep> {
    const { revision, place, isStaged } = errand;
    const name = stagerName(revision.metadata.name, place.key);
    const pod = this.#options.cluster.get(kinds.Pod, name);
    if (isStaged) this.#room.settle(revision, place.key);
    if (pod === undefined) return this.#begin(errand, name, signal);
    if (isLeaving(pod)) return isStaged ? { type: 'staged' } : this.#judgeLeaving(pod);
    if (isStaged) return this.#finish(pod, signal);
    if (pod.status?.phase === 'Succeeded') {
      this.#failures.delete(name);
      // Its Pod goes at the next look, once the status says what it did.
      return { type: 'staged' };
    }
    if (pod.status?.phase === 'Failed') return this.#judgeFailed(errand, pod, signal);
    const held = this.#findHeld(pod);
    if (held !== undefined) return held;
    const digest = revision.spec.weights?.sha256 ?? '';
    const outcome = await this.#progress.look({ pod, revision: revision.metadata.name, digest }, signal);
    return { type: 'running', advance: this.#progress.advanceOf(name), outcome };
  }

  #findHeld(pod: Pod): StagingStep | undefined {
    const trouble = findStagerTrouble(pod, this.#ageOf);
    return trouble === undefined ? undefined : { type: 'held', ...trouble, outcome: troubleAgain };
  }

  /** Its name is taken until its node says that it is gone. */
  #judgeLeaving(pod: Pod): StagingStep {
    return this.#findHeld(pod) ?? { type: 'running', outcome: troubleAgain };
  }

  async #finish(pod: Pod, signal: AbortSignal): Promise<StagingStep> {
    const { outcome } = await this.#remove(pod, signal);
    const isDone = outcome === done && pod.status?.phase === 'Succeeded';
    if (isDone) this.#options.metrics.count('weightDownloads', { outcome: 'Staged' });
    return { type: 'staged', outcome };
  }

  /** Makes the stager, once there is room for what it brings. */
  async #begin({ revision, model, place, isStaged }: Errand, name: string, signal: AbortSignal): Promise<StagingStep> {
    const { cluster } = this.#options;
    this.#progress.forget(name);
    if (isStaged || model === undefined) return { type: 'staged' };
    const { key, pool } = place;
    if (this.#isThreatened(revision, key))
      return { type: 'running', outcome: { type: 'again', afterMs: LOOK_AGAIN_MS } };
    const room = this.#room.find({ revision, model, key });
    switch (room.type) {
      case 'wait': {
        const { reason, message, mayPass } = room;
        return { type: 'held', reason, message, outcome: mayPass ? { type: 'again', afterMs: LOOK_AGAIN_MS } : done };
      }
      case 'evict':
        return { type: 'running', outcome: await this.#evict(room.digests, { key, signal }) };
      case 'go': {
        const secretName = sourceSecretOf(revision, model);
        const order = { revision, pool, name, secretName, ...room, key };
        const made = await cluster.create(kinds.Pod, renderStagerPod(order, this.#template()), signal);
        return made.ok ? { type: 'running', outcome: done } : judgeUnmade(outcomeOfError(made.error));
      }
    }
  }

  /** Another stager makes room on the volume just now, and may take this set away: what it finds there counts only after that. */
  #isThreatened({ spec, metadata }: ModelRevision, key: string): boolean {
    const digest = spec.weights?.sha256 ?? '';
    const { cluster } = this.#options;
    return cluster.list(kinds.Pod).some((pod) => {
      const other = stagedRevisionOf(pod);
      if (other === undefined || other === metadata.name || !isAtWork(pod)) return false;
      if (!mayTakeAway(pod, { key, digest })) return false;
      // Who downloads has made its room.
      if (this.#progress.advanceOf(pod.metadata.name) !== undefined) return false;
      const startedMs = Date.parse(pod.status?.startTime ?? '');
      return pod.status?.phase !== 'Running' || !(this.#ageOf(pod, startedMs) > ROOM_MS_MAX);
    });
  }

  /**
   * From now on nothing is started from these sets. Their files go when the stager comes that they make room for: it is told
   * what stays, so a restart in between loses nothing but the room that it looks for again.
   */
  async #evict(
    digests: readonly string[],
    { key, signal }: { readonly key: string; readonly signal: AbortSignal },
  ): Promise<Outcome> {
    const { cluster, log } = this.#options;
    for (const revision of cluster.list(kinds.ModelRevision)) {
      const { stagedIn = [] } = revision.status ?? {};
      if (!digests.includes(revision.spec.weights?.sha256 ?? '') || !stagedIn.includes(key)) continue;
      const { name } = revision.metadata;
      const patch = { stagedIn: stagedIn.filter((one) => one !== key) };
      const written = await patchStatusOver(cluster, { kind: kinds.ModelRevision, object: revision, patch }, signal);
      if (!written.ok) return outcomeOfError(written.error);
      this.#options.metrics.count('weightEvictions', {});
      const message = `Its files make room for others on the volume ${key}.`;
      cluster.recordEvent({ regarding: revision, type: 'Normal', reason: 'WeightsEvicted', message });
      log.info({ revision: name, volume: key }, 'files are taken off a volume to make room');
    }
    return { type: 'again', afterMs: EVICTED_MS };
  }

  /** A failed Pod stays to be looked at until it is time for the next try. */
  async #judgeFailed({ revision, model }: Errand, pod: Pod, signal: AbortSignal): Promise<StagingStep> {
    const { name, uid = '' } = pod.metadata;
    this.#progress.forget(name);
    const nowMs = this.#options.clock.nowMs();
    const known = this.#failures.get(name);
    const isNews = known?.uid !== uid;
    const failure = isNews
      ? { revision: revision.metadata.name, uid, count: (known?.count ?? 0) + 1, seenMs: nowMs }
      : known;
    this.#failures.set(name, failure);
    if (isNews) this.#options.metrics.count('weightDownloads', { outcome: 'Failed' });
    const { reason, message } = stagerEndOf(pod);
    const leftMs = failure.seenMs + backoffCeilingMs({ ...STAGE_BACKOFF, attempt: failure.count - 1 }) - nowMs;
    const advice = model === undefined || reason !== 'AccessDenied' ? undefined : adviceOnLostSecret(revision, model);
    const said = { type: 'held' as const, reason, message: sayTriedAgain(message, advice) };
    if (leftMs > 0) return { ...said, outcome: { type: 'again', afterMs: leftMs } };
    return { ...said, ...(await this.#remove(pod, signal)) };
  }

  async #remove(pod: Pod, signal: AbortSignal): Promise<{ readonly outcome: Outcome }> {
    const { name, uid } = pod.metadata;
    const removed = await this.#options.cluster.remove(kinds.Pod, name, {
      ...(uid === undefined ? {} : { uid }),
      signal,
    });
    return { outcome: removed.ok ? done : outcomeOfError(removed.error) };
  }
}

/** A stager that the server will not have waits for somebody; a server that is away or busy does not keep it for long. */
function judgeUnmade(outcome: Outcome): StagingStep {
  const refusal = refusalOf(outcome);
  return refusal === undefined ? { type: 'running', outcome } : { type: 'held', ...refusal, outcome };
}

function byUrgency(a: Outcome, b: Outcome): number {
  return rank(a) - rank(b);
}

function rank(outcome: Outcome): number {
  if (outcome.type === 'again') return 1 + outcome.afterMs;
  return outcome.type === 'done' ? Number.POSITIVE_INFINITY : 0;
}
