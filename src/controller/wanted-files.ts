// Revisions whose files somebody waits for, and revisions that agents said something new about: which of them are looked at
// again after a plan. Never brings a file.
import { kinds } from '../api/kinds.ts';
import type { Model } from '../api/model.ts';
import type { Cluster } from '../ports/cluster.ts';
import { stagingTroubleOf } from './staging-verdict.ts';
import type { Steering } from './steering.ts';
import type { Kind } from './work-kinds.ts';

export interface WantedFilesOptions {
  readonly cluster: Cluster;
  readonly steering: Pick<Steering, 'decisionOf' | 'world'>;
  add(kind: Kind, name: string): void;
}

export class WantedFiles {
  readonly #options: WantedFilesOptions;
  /** Revisions that agents said something new about. */
  readonly #stale = new Set<string>();
  /** Revisions whose files somebody waits for, although there was no room for them. */
  #wanted: ReadonlySet<string> = new Set();

  constructor(options: WantedFilesOptions) {
    this.#options = options;
  }

  noteNews(revisions: Iterable<string>): void {
    for (const revision of revisions) this.#stale.add(revision);
  }

  /** A candidate is on trial because a person wants it; a stable revision is wanted when something is to be awake. */
  isWanted({ metadata, spec, status }: Model, revision: string): boolean {
    if (status?.candidateRevision === revision || spec.scaling.minAwake > 0) return true;
    return (this.#options.steering.decisionOf(metadata.name)?.decision.desired ?? 0) > 0;
  }

  /** Files that had no room are brought when somebody asks for them. */
  #stageWanted(): void {
    const wanted = new Set<string>();
    for (const { model, stable } of this.#options.steering.world()?.models ?? []) {
      if (stable === undefined || stagingTroubleOf(stable)?.isCold !== true) continue;
      const { name } = stable.metadata;
      if (!this.isWanted(model, name)) continue;
      wanted.add(name);
      if (!this.#wanted.has(name)) this.#options.add('ModelRevision', name);
    }
    this.#wanted = wanted;
  }

  /** Looked at once the planner has seen the report, too. */
  lookAgain(): void {
    const { cluster } = this.#options;
    this.#stageWanted();
    for (const revision of this.#stale) {
      this.#options.add('ModelRevision', revision);
      const model = cluster.get(kinds.ModelRevision, revision)?.spec.modelName;
      if (model !== undefined) this.#options.add('Model', model);
    }
    this.#stale.clear();
  }
}
