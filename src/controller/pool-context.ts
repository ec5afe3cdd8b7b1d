// What reconciling a Pool goes by: what everybody in the controller knows, and what is remembered of each pool between two looks.
// Decides nothing.
import type { Setbacks } from '../core/plan/slot-setbacks.ts';
import type { SlotTrouble } from '../core/plan/slot-trouble.ts';
import type { BufferContext } from './capacity-buffer.ts';
import type { CacheTrouble } from './compile-cache-volume.ts';
import type { Fleet } from './fleet.ts';
import type { ControllerOptions } from './options.ts';
import type { SeenChildren } from './owned-child.ts';
import type { PodAges } from './pod-ages.ts';
import type { Refusal } from './refusals.ts';
import type { SlotTemplate } from './slot-pod.ts';
import type { Spare } from './spare.ts';
import type { Steering } from './steering.ts';

export interface PoolContext {
  readonly options: ControllerOptions;
  readonly fleet: Fleet;
  readonly steering: Steering;
  readonly ages: PodAges;
  readonly template: () => SlotTemplate;
  /** Where the link listens in the controller's Pod. */
  readonly linkPort: number;
  /** Of each pool: slots that were made and are not in the cache yet, and when each was last known to be there. */
  readonly made: Map<string, Map<string, number>>;
  readonly children: SeenChildren;
  readonly buffers: BufferContext['buffers'];
  /** Of each pool: what came to nothing lately. */
  readonly setbacks: Map<string, PoolSetbacks>;
  readonly spare: Spare;
}

export interface PoolSetbacks extends Setbacks {
  /** The slots that there were at the last one. A later one that works ends the series. */
  readonly known: ReadonlySet<string>;
  /** What became of the last one: how its Pod ended, or why the server did not take it. */
  readonly trouble?: Trouble;
  /** The server said that it will take none before. */
  readonly notBeforeMs?: number;
  /** Of the Pool whose slot the server did not take: another one may be taken. */
  readonly generation?: number | undefined;
}

export type Trouble = SlotTrouble | Refusal | CacheTrouble | DeletionTrouble;

export interface DeletionTrouble {
  readonly reason: 'DeletionStuck';
  readonly message: string;
}
