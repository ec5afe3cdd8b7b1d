// Keeps the revisions that Models use: what has our finalizer stays, also when somebody deletes it, until no Model uses it. Without
// it what is awake would have to stop, for nobody could say what it runs, nor what was staged and probed. Never holds an old one.
import { kinds } from '../api/kinds.ts';
import type { Model } from '../api/model.ts';
import type { ModelRevision } from '../api/model-revision.ts';
import type { ControllerOptions } from './options.ts';
import { controllerOf, findOwned } from './ownership.ts';
import { writeFinalizer } from './status.ts';
import { done, type Outcome } from './work-queue.ts';

export const REVISION_FINALIZER = 'stoker.dev/in-use';

export interface RevisionHold {
  /** Of all revisions of the Model: those in `used` stay, and the others may go. */
  keep(model: Model, used: ReadonlySet<string>, signal: AbortSignal): Promise<Outcome>;
  /** One whose Model went without letting go of it. */
  releaseOrphan(revision: ModelRevision, signal: AbortSignal): Promise<Outcome>;
}

export function createRevisionHold({ cluster }: Pick<ControllerOptions, 'cluster'>): RevisionHold {
  /** By uid: of what somebody deletes in vain an Event tells once. */
  const told = new Set<string>();
  const write = (object: ModelRevision, isToStay: boolean, signal: AbortSignal) => {
    const finalizer = { finalizer: REVISION_FINALIZER, isHeld: isToStay };
    return writeFinalizer(cluster, { kind: kinds.ModelRevision, object, ...finalizer }, signal);
  };
  const tell = (revision: ModelRevision) => {
    const { uid = '', name } = revision.metadata;
    if (told.has(uid)) return;
    told.add(uid);
    const message = `The Model ${revision.spec.modelName} uses ${name}, so it stays until another version answers. Change spec.version of the Model, or delete the Model.`;
    cluster.recordEvent({ regarding: revision, type: 'Warning', reason: 'RevisionInUse', message });
  };
  const release = (revision: ModelRevision, signal: AbortSignal) => {
    told.delete(revision.metadata.uid ?? '');
    return write(revision, false, signal);
  };
  const hold = async (revision: ModelRevision, signal: AbortSignal) => {
    if (!isGoing(revision)) return write(revision, true, signal);
    // What is being deleted takes no new finalizer.
    if (isHeld(revision)) tell(revision);
    return done;
  };
  return {
    async keep(model, used, signal) {
      for (const revision of findOwned(cluster.list(kinds.ModelRevision), model)) {
        const kept = await (used.has(revision.metadata.name) ? hold : release)(revision, signal);
        if (kept.type !== 'done') return kept;
      }
      return done;
    },
    async releaseOrphan(revision, signal) {
      const owner = controllerOf(revision)?.uid;
      const hasModel = cluster.list(kinds.Model).some(({ metadata }) => metadata.uid === owner);
      return hasModel || !isGoing(revision) ? done : release(revision, signal);
    },
  };
}

/** Whether it goes on being used although somebody deletes it. */
export function isKeptFor(revision: ModelRevision, { status }: Model): boolean {
  const { name } = revision.metadata;
  return isHeld(revision) && (status?.stableRevision === name || status?.candidateRevision === name);
}

function isHeld({ metadata }: ModelRevision): boolean {
  return metadata.finalizers?.includes(REVISION_FINALIZER) === true;
}

function isGoing({ metadata }: ModelRevision): boolean {
  return metadata.deletionTimestamp !== undefined;
}
