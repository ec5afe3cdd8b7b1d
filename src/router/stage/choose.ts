// Which model serves the request: the one that the caller named. Shortly after the start the first table is waited for.
// A caller never names an upstream: what is not in the table does not exist.
import type { PolicyModel } from '../../api/link.ts';
import type { RoutingTable } from '../../core/route/table.ts';
import type { Clock } from '../../lib/clock.ts';
import { type Call, reasonOf } from '../call.ts';
import { Ending } from '../ending.ts';
import type { TableKeeper } from '../link/table-keeper.ts';

export interface TableOptions {
  readonly clock: Clock;
  readonly table: TableKeeper;
  readonly tableWaitMsMax: number;
}

/** Throws an Ending. */
export async function choose(call: Call, servedName: string, options: TableOptions): Promise<PolicyModel> {
  const table = await firstTable(call, options);
  const model = table.byServedName.get(servedName);
  if (model === undefined) throw notFound(servedName);
  call.record.model = model.model;
  call.headers.set('x-stoker-model', encodeURI(model.servedName));
  return model;
}

/** The table, once there is one. Throws an Ending. */
export async function firstTable(call: Call, options: TableOptions): Promise<RoutingTable> {
  if (!options.table.isReady()) await tableOrEnd(call, options);
  return options.table.current();
}

export function notFound(servedName: string): Ending {
  return new Ending(
    'model_not_found',
    `There is no model ${JSON.stringify(servedName.slice(0, 128))} here. GET /v1/models lists those that are.`,
    { param: 'model' },
  );
}

function tableOrEnd(call: Call, { clock, table, tableWaitMsMax }: TableOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = new Ending('model_warming', 'This router has not heard from its controller yet. Try again soon.', {
      headers: { 'retry-after': '1' },
    });
    const timer = clock.after(tableWaitMsMax, () => finish(() => reject(late)));
    const onAbort = () => finish(() => reject(reasonOf(call)));
    const finish = (settle: () => void) => {
      timer.cancel();
      call.signal.removeEventListener('abort', onAbort);
      settle();
    };
    if (call.signal.aborted) return onAbort();
    call.signal.addEventListener('abort', onAbort, { once: true });
    void table.ready.then(() => finish(resolve));
  });
}
