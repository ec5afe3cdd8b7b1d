// The routing table that this router serves by: the last one that came, whether or not the controller is still there.
// Tells its followers which sections changed. Never makes up a row.
import type { Table } from '../../api/link.ts';
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
  /** Time since the endpoints and their warmth were last sent. */
  warmthAgeMs(): number;
  apply(message: Table): void;
}

export function createTableKeeper(clock: Clock, onChange: (change: TableChange) => void): TableKeeper {
  let table = emptyTable;
  let warmthMs = clock.nowMs();
  let becomeReady = () => {};
  const ready = new Promise<void>((resolve) => {
    becomeReady = resolve;
  });
  const isReady = () => table.versions.policy > 0 && table.versions.endpoints > 0;
  return {
    current: () => table,
    isReady,
    ready,
    warmthAgeMs: () => clock.nowMs() - warmthMs,
    apply(message) {
      const before = table;
      table = applyTable(before, message);
      const change = {
        policy: table.models !== before.models,
        endpoints: table.endpoints !== before.endpoints,
        keys: table.keys !== before.keys,
      };
      if (change.endpoints) warmthMs = clock.nowMs();
      if (isReady()) becomeReady();
      onChange(change);
    },
  };
}
