// Has the files of a revision brought to every volume that its pools read: makes stagers, reads how they ended, and tries again
// after a growing wait. Level-driven: what is known lies in the revision's status and in the Pods, only tries are counted here.

import type { Condition } from '../api/group.ts';
import { kinds, type Pod } from '../api/kinds.ts';
import type { Model } from '../api/model.ts';
import type { ModelRevision } from '../api/model-revision.ts';
import type { Pool } from '../api/pool.ts';
import { backoffCeilingMs } from '../lib/backoff.ts';
import { renderBytes, renderDuration } from '../lib/units.ts';
import { STAGE_BACKOFF } from './bounds.ts';
import type { ControllerOptions } from './options.ts';
import { renderStagerPod, type StagerTemplate, stagerEndOf, stagerName } from './stager-pod.ts';
import { outcomeOfError } from './status.ts';
import { weightsKeyOf } from './weight-volumes.ts';
import { done, type Outcome } from './work-queue.ts';

/** What the revision's status says after a look. */
export interface StagingView {
  readonly stagedIn: readonly string[];
  readonly condition: Omit<Condition, 'lastTransitionTime'>;
  /** Of what was done about it. */
  readonly outcome: Outcome;
}

export interface Staging {
  /** Undefined for a revision without files to bring. `lost` are volumes in which a slot did not find them. */
  look(revision: ModelRevision, lost: readonly string[], signal: AbortSignal): Promise<StagingView | undefined>;
  forgetExcept(revisions: ReadonlySet<string>): void;
}

interface Place {
  readonly key: string;
  readonly pool: Pool;
}

type Step =
  | { readonly type: 'staged' }
  | { readonly type: 'running'; readonly outcome: Outcome }
  | { readonly type: 'failed'; readonly reason: string; readonly message: string; readonly outcome: Outcome };

export function createStaging(options: ControllerOptions, template: () => StagerTemplate): Staging {
  return new Stagers(options, template);
}

class Stagers implements Staging {
  readonly #options: ControllerOptions;
  readonly #template: () => StagerTemplate;
  /** By Pod name: tries that failed, and why the last one did. */
  readonly #failures = new Map<string, { readonly revision: string; readonly uid: string; readonly count: number }>();

  constructor(options: ControllerOptions, template: () => StagerTemplate) {
    this.#options = options;
    this.#template = template;
  }

  forgetExcept(revisions: ReadonlySet<string>): void {
    for (const [name, { revision }] of this.#failures) if (!revisions.has(revision)) this.#failures.delete(name);
  }

  async look(revision: ModelRevision, lost: readonly string[], signal: AbortSignal): Promise<StagingView | undefined> {
    if (revision.spec.weights?.fileSet === undefined) return undefined;
    const model = this.#userOf(revision);
    const before = (revision.status?.stagedIn ?? []).filter((key) => !lost.includes(key));
    const places = model === undefined ? [] : this.#placesOf(model);
    const staged = new Set(before);
    const steps: Step[] = [];
    for (const place of places) {
      const step = await this.#step({ revision, model, place, isStaged: staged.has(place.key) }, signal);
      if (step.type === 'staged') staged.add(place.key);
      steps.push(step);
    }
    return {
      stagedIn: [...staged].sort(),
      condition: judge(revision, { model, places, steps }),
      outcome: steps.map((step) => ('outcome' in step ? step.outcome : done)).sort(byUrgency)[0] ?? done,
    };
  }

  /** The Model, while it uses the revision. Old revisions are not worth a download. */
  #userOf({ spec, metadata }: ModelRevision): Model | undefined {
    const model = this.#options.cluster.get(kinds.Model, spec.modelName);
    if (model === undefined || model.metadata.deletionTimestamp !== undefined) return undefined;
    const { stableRevision, candidateRevision } = model.status ?? {};
    return stableRevision === metadata.name || candidateRevision === metadata.name ? model : undefined;
  }

  /** One for each volume, though several pools may share it. */
  #placesOf({ spec }: Model): Place[] {
    const places = new Map<string, Place>();
    for (const name of spec.pools) {
      const pool = this.#options.cluster.get(kinds.Pool, name);
      const key = pool === undefined ? undefined : weightsKeyOf(pool, this.#options);
      if (pool !== undefined && key !== undefined && !places.has(key)) places.set(key, { key, pool });
    }
    return [...places.values()];
  }

  async #step(
    what: { revision: ModelRevision; model: Model | undefined; place: Place; isStaged: boolean },
    signal: AbortSignal,
  ): Promise<Step> {
    const { cluster } = this.#options;
    const { revision, model, place, isStaged } = what;
    const name = stagerName(revision.metadata.name, place.key);
    const pod = cluster.get(kinds.Pod, name);
    if (pod?.metadata.deletionTimestamp !== undefined) return { type: isStaged ? 'staged' : 'running', outcome: done };
    if (pod === undefined) {
      if (isStaged || model === undefined) return { type: 'staged' };
      const made = await cluster.create(
        kinds.Pod,
        renderStagerPod({ revision, model, pool: place.pool, name }, this.#template()),
        signal,
      );
      return { type: 'running', outcome: made.ok ? done : outcomeOfError(made.error) };
    }
    if (isStaged) return { ...(await this.#remove(pod, signal)), type: 'staged' };
    if (pod.status?.phase === 'Succeeded') {
      this.#failures.delete(name);
      // Its Pod goes at the next look, once the status says what it did.
      return { type: 'staged' };
    }
    return pod.status?.phase === 'Failed'
      ? this.#judgeFailed(revision, pod, signal)
      : { type: 'running', outcome: done };
  }

  /** A failed Pod stays to be looked at until it is time for the next try. */
  async #judgeFailed(revision: ModelRevision, pod: Pod, signal: AbortSignal): Promise<Step> {
    const { name, uid = '' } = pod.metadata;
    const known = this.#failures.get(name);
    const isNews = known?.uid !== uid;
    const count = isNews ? (known?.count ?? 0) + 1 : known.count;
    this.#failures.set(name, { revision: revision.metadata.name, uid, count });
    const { reason, message, endedMs } = stagerEndOf(pod);
    const wallMs = this.#options.clock.wallMs();
    const waitMs = backoffCeilingMs({ ...STAGE_BACKOFF, attempt: count - 1 });
    const leftMs = Math.min(waitMs, (endedMs ?? wallMs) + waitMs - wallMs);
    const said = { type: 'failed' as const, reason, message };
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

function byUrgency(a: Outcome, b: Outcome): number {
  return rank(a) - rank(b);
}

function rank(outcome: Outcome): number {
  if (outcome.type === 'again') return 1 + outcome.afterMs;
  return outcome.type === 'done' ? Number.POSITIVE_INFINITY : 0;
}

function judge(
  { spec, metadata }: ModelRevision,
  { model, places, steps }: { model: Model | undefined; places: readonly Place[]; steps: readonly Step[] },
): StagingView['condition'] {
  const frame = { type: 'Staged', observedGeneration: metadata.generation ?? 0 } as const;
  const size = renderBytes(spec.weights?.sizeBytes ?? 0);
  if (model === undefined) {
    return {
      ...frame,
      status: 'Unknown',
      reason: 'NotUsed',
      message: 'No Model uses this revision, so nothing is brought anywhere.',
    };
  }
  if (places.length === 0) {
    const message = `No pool of the Model has a volume for weights. Set spec.weights.claimName of the Pool ${model.spec.pools[0] ?? ''}.`;
    return { ...frame, status: 'False', reason: 'NoWeightVolume', message };
  }
  const failed = steps.find((step) => step.type === 'failed');
  if (failed !== undefined) {
    const message = `${failed.message} It is tried again, after ${renderDuration(STAGE_BACKOFF.capMs)} at most.`;
    return { ...frame, status: 'False', reason: failed.reason, message };
  }
  if (steps.every(({ type }) => type === 'staged')) {
    return { ...frame, status: 'True', reason: 'Staged', message: `The files (${size}) are on every volume.` };
  }
  return { ...frame, status: 'False', reason: 'Staging', message: `The files (${size}) are being downloaded.` };
}

/** Whether the slots of a pool find what the revision needs. */
export function isStagedFor(
  revision: ModelRevision,
  pool: Pool | undefined,
  places: Parameters<typeof weightsKeyOf>[1],
): boolean {
  if (revision.spec.weights?.fileSet === undefined) return true;
  const key = pool === undefined ? undefined : weightsKeyOf(pool, places);
  return key !== undefined && revision.status?.stagedIn?.includes(key) === true;
}

export interface StagingTrouble {
  readonly reason: string;
  readonly message: string;
  /** Waiting helps: it is under way, or the source is away for a moment. */
  readonly isPassing: boolean;
}

const passing: ReadonlySet<string> = new Set(['Staging', 'SourceUnreachable', 'StagerFailed', 'NodeRestarted']);

/** Why nothing of a revision can start yet; undefined when its files are somewhere, or it needs none. */
export function stagingTroubleOf(revision: ModelRevision | undefined): StagingTrouble | undefined {
  if (revision?.spec.weights?.fileSet === undefined || (revision.status?.stagedIn ?? []).length > 0) return undefined;
  const found = revision.status?.conditions?.find(({ type }) => type === 'Staged');
  if (found === undefined || found.status !== 'False') {
    return { reason: 'Staging', message: 'The files are about to be downloaded.', isPassing: true };
  }
  return { reason: found.reason, message: found.message, isPassing: passing.has(found.reason) };
}
