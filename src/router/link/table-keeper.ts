// The routing table that this router serves by: the last one that came, whether or not the controller is still there.
// Tells its followers which sections changed. Never makes up a row.
import type { ModelWarmth, Table } from '../../api/link.ts';
import { applyTable, emptyTable, type RoutingTable } from '../../core/route/table.ts';
import type { Clock } from '../../lib/clock.ts';

export interface TableChange {
  readonly policy: boolean;
  readonly endpoints: boolean;
  readonly keys: boolean;
}

export interface TableKeeper {
  current(): RoutingTable;
  /** Whether both the models and their endpoints are known. Once true, it stays so. */
  isReady(): boolean;
  /** Resolves when it is. */
  readonly ready: Promise<void>;
  /** Time since the controller first said of the model what it says now: estimates count down from there. */
  warmthAgeMs(model: string): number;
  apply(message: Table): void;
}

export function createTableKeeper(clock: Clock, onChange: (change: TableChange) => void): TableKeeper {
  let table = emptyTable;
  let saidAt: ReadonlyMap<string, Said> = new Map();
  let becomeReady = () => {};
  const ready = new Promise<void>((resolve) => {
    becomeReady = resolve;
  });
  const isReady = () => table.versions.policy > 0 && table.versions.endpoints > 0;
  return {
    current: () => table,
    isReady,
    ready,
    warmthAgeMs: (model) => clock.nowMs() - (saidAt.get(model)?.atMs ?? clock.nowMs()),
    apply(message) {
      const before = table;
      table = applyTable(before, message);
      const change = {
        policy: table.models !== before.models,
        endpoints: table.endpoints !== before.endpoints,
        keys: table.keys !== before.keys,
      };
      if (change.endpoints) saidAt = noteWarmth(saidAt, table, clock.nowMs());
      if (isReady()) becomeReady();
      onChange(change);
    },
  };
}

interface Said {
  readonly warmth: ModelWarmth;
  readonly atMs: number;
}

/** A table also comes for other models' sake: what it repeats is as old as before. */
function noteWarmth(before: ReadonlyMap<string, Said>, table: RoutingTable, nowMs: number): ReadonlyMap<string, Said> {
  return new Map(
    [...table.warmth].map(([model, warmth]) => {
      const said = before.get(model);
      const isSame = said?.warmth.rung === warmth.rung && said.warmth.etaMs === warmth.etaMs;
      return [model, isSame ? said : { warmth, atMs: nowMs }];
    }),
  );
}
