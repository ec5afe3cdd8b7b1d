// What an object that changed means for the work: whose keys are looked at again, and whose failures say nothing any more. Owns
// what objects were, since one that is gone says no more whose it was. Never writes, and never decides more than that.
import type { ClusterObject } from '../api/group.ts';
import { kinds, type Pod } from '../api/kinds.ts';
import type { Cluster } from '../ports/cluster.ts';
import { poolUidOf } from './slot-pod.ts';
import { stagedRevisionOf } from './stager-pod.ts';
import { stagingTroubleOf } from './staging-verdict.ts';
import { isNodeLocal, type WeightPlaces } from './weight-volumes.ts';
import type { Kind } from './work-kinds.ts';

export interface ObjectWatchOptions {
  readonly cluster: Cluster;
  readonly places: WeightPlaces;
  add(kind: Kind, name: string): void;
  /** Before it is added: a person changed what it goes by. */
  renew(kind: Kind, name: string): void;
  /** The Pod of a slot went, or another one has its name. */
  onSlotGone(podUid: string): void;
}

export interface ObjectWatch {
  changed(kind: string, name: string): void;
  /** Level-driven: whatever was missed is seen here. */
  lookAtAll(): void;
}

export function createObjectWatch(options: ObjectWatchOptions): ObjectWatch {
  return new KnownObjects(options);
}

class KnownObjects implements ObjectWatch {
  readonly #options: ObjectWatchOptions;
  /** What objects were, by name: one that is gone says no more whose it was. */
  readonly #slots = new Map<string, { readonly pool: string; readonly uid: string }>();
  /** The node of each slot whose node has a folder for weights. */
  readonly #nodes = new Map<string, string>();
  readonly #stagers = new Map<string, string>();
  readonly #servedNames = new Map<string, string>();
  readonly #modelOfRevision = new Map<string, string>();
  /** Of Pools and Models: which spec was seen last. */
  readonly #specs = new Map<string, string>();

  constructor(options: ObjectWatchOptions) {
    this.#options = options;
  }

  lookAtAll(): void {
    const { cluster } = this.#options;
    for (const kind of ['Pool', 'Model', 'ModelRevision'] as const) {
      for (const { metadata } of cluster.list<ClusterObject>(kinds[kind])) this.#options.add(kind, metadata.name);
    }
    for (const { metadata, spec } of cluster.list(kinds.Model)) this.#servedNames.set(metadata.name, spec.servedName);
    for (const { metadata } of cluster.list(kinds.Pod)) this.#onPod(metadata.name);
    for (const { metadata, spec } of cluster.list(kinds.ModelRevision)) {
      if (spec.remote !== undefined) this.#options.add('Upstream', metadata.name);
    }
  }

  changed(kind: string, name: string): void {
    switch (kind) {
      case 'Pool':
        if (this.#isNewSpec('Pool', name)) this.#renewPool(name);
        this.#options.add('Pool', name);
        for (const { metadata } of this.#options.cluster.list(kinds.Model)) {
          this.#options.add('Model', metadata.name);
          this.#stageFor(metadata.name, { onlyMissing: true });
        }
        return;
      case 'Model':
        if (this.#isNewSpec('Model', name)) this.#renewModel(name);
        this.#onModel(name);
        return;
      case 'ModelRevision':
        this.#onRevision(name);
        return;
      case 'Pod':
        this.#onPod(name);
        return;
      default:
    }
  }

  /** People change specs and delete; what the controller writes itself leaves both as they are. */
  #isNewSpec(kind: 'Pool' | 'Model', name: string): boolean {
    const { metadata } = this.#options.cluster.get<ClusterObject>(kinds[kind], name) ?? {};
    const id = `${kind}/${name}`;
    const spec = `${metadata?.uid ?? ''}/${metadata?.generation ?? 0}/${metadata?.deletionTimestamp ?? ''}`;
    const isNew = this.#specs.get(id) !== spec;
    if (metadata === undefined) this.#specs.delete(id);
    else this.#specs.set(id, spec);
    return isNew;
  }

  /** Stagers are made as the Pool says, too. */
  #renewPool(name: string): void {
    this.#options.renew('Pool', name);
    for (const { metadata, spec } of this.#options.cluster.list(kinds.Model)) {
      if (!spec.pools.includes(name)) continue;
      for (const revision of this.#revisionsOf(metadata.name)) this.#options.renew('ModelRevision', revision);
    }
  }

  #renewModel(name: string): void {
    this.#options.renew('Model', name);
    this.#options.renew('Pin', name);
    for (const revision of this.#revisionsOf(name)) {
      this.#options.renew('ModelRevision', revision);
      this.#options.renew('Upstream', revision);
    }
  }

  /** Those that answer or are on trial. */
  #revisionsOf(model: string): readonly string[] {
    const { stableRevision, candidateRevision } = this.#options.cluster.get(kinds.Model, model)?.status ?? {};
    return [stableRevision, candidateRevision].filter((revision) => revision !== undefined);
  }

  /** A name that becomes free or taken concerns the other Models that want it. */
  #onModel(name: string): void {
    const { cluster } = this.#options;
    const servedName = cluster.get(kinds.Model, name)?.spec.servedName ?? this.#servedNames.get(name);
    this.#options.add('Model', name);
    this.#stageFor(name);
    this.#readKeysOf(name);
    if (servedName === undefined) return;
    if (cluster.get(kinds.Model, name) === undefined) this.#servedNames.delete(name);
    else this.#servedNames.set(name, servedName);
    for (const other of this.#servedNames) if (other[1] === servedName) this.#options.add('Model', other[0]);
  }

  #onRevision(name: string): void {
    const revision = this.#options.cluster.get(kinds.ModelRevision, name);
    const model = revision?.spec.modelName ?? this.#modelOfRevision.get(name);
    if (revision === undefined) this.#modelOfRevision.delete(name);
    else this.#modelOfRevision.set(name, revision.spec.modelName);
    if (revision?.spec.remote !== undefined) this.#options.add('Upstream', name);
    const isGoing = revision?.metadata.deletionTimestamp !== undefined;
    if (isGoing || revision?.spec.weights?.fileSet !== undefined) this.#options.add('ModelRevision', name);
    if (model !== undefined) this.#options.add('Model', model);
  }

  /** Whether a revision is in use, and in which pools, is for its Model to say. */
  #stageFor(model: string, { onlyMissing = false } = {}): void {
    const { cluster } = this.#options;
    for (const revision of this.#revisionsOf(model)) {
      const found = cluster.get(kinds.ModelRevision, revision);
      if (found?.spec.weights?.fileSet === undefined) continue;
      if (!onlyMissing || stagingTroubleOf(found) !== undefined)
        this.#options.add('ModelRevision', found.metadata.name);
    }
  }

  /** Whoever changes a Model may have mended its Secret a moment before. */
  #readKeysOf(model: string): void {
    for (const revision of this.#revisionsOf(model)) {
      const isRemote = this.#options.cluster.get(kinds.ModelRevision, revision)?.spec.remote !== undefined;
      if (isRemote) this.#options.add('Upstream', revision);
    }
  }

  #onPod(name: string): void {
    const { cluster } = this.#options;
    const pod = cluster.get(kinds.Pod, name);
    const known = this.#slots.get(name);
    const { uid } = pod?.metadata ?? {};
    if (known !== undefined && known.uid !== uid) this.#options.onSlotGone(known.uid);
    this.#onNode(pod, known?.pool);
    const poolUid = pod === undefined ? undefined : poolUidOf(pod);
    const pool = cluster.list(kinds.Pool).find(({ metadata }) => metadata.uid === poolUid)?.metadata.name;
    if (pod === undefined) this.#nodes.delete(name);
    if (pod === undefined) this.#slots.delete(name);
    else if (pool !== undefined && uid !== undefined) this.#slots.set(name, { pool, uid });
    this.#onStager(pod, name);
    if (pool !== undefined) this.#options.add('Slot', name);
    const owner = pool ?? known?.pool;
    if (owner !== undefined) this.#options.add('Pool', owner);
  }

  /** A slot that comes to a node with a folder of its own, or leaves one: files may have to be brought there. */
  #onNode(pod: Pod | undefined, knownPool: string | undefined): void {
    const { cluster } = this.#options;
    const poolUid = pod === undefined ? undefined : poolUidOf(pod);
    const pool = cluster
      .list(kinds.Pool)
      .find(({ metadata }) => metadata.uid === poolUid || (pod === undefined && metadata.name === knownPool));
    if (pool === undefined || !isNodeLocal(pool, this.#options.places)) return;
    const { name } = pod?.metadata ?? {};
    const node = pod?.spec.nodeName;
    if (name !== undefined && this.#nodes.get(name) === node) return;
    if (name !== undefined && node !== undefined) this.#nodes.set(name, node);
    for (const { metadata, spec } of cluster.list(kinds.Model)) {
      if (spec.pools.includes(pool.metadata.name)) this.#stageFor(metadata.name);
    }
  }

  #onStager(pod: Pod | undefined, name: string): void {
    const revision = pod === undefined ? this.#stagers.get(name) : stagedRevisionOf(pod);
    if (revision === undefined) return;
    if (pod === undefined) this.#stagers.delete(name);
    else this.#stagers.set(name, revision);
    this.#options.add('ModelRevision', revision);
  }
}
