// The queues of all models that the table names, with what everybody asks of them together: the demand, the history, the
// state for people, the gauges. A queue goes when its model is gone and nothing of it is left.
import { HISTORY_MODELS_MAX, type ModelDemand, type RouterHello } from '../../api/link.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Rng } from '../../lib/rng.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { RouterBounds } from '../bounds.ts';
import type { TableChange, TableKeeper } from '../link/table-keeper.ts';
import type { ModelState } from '../model-state.ts';
import { createEndpointBook, type EndpointBook } from './endpoint-book.ts';
import { createModelQueue, type ModelQueue } from './model-queue.ts';

export interface ModelQueues {
  readonly book: EndpointBook;
  of(model: string): ModelQueue;
  onTableChange(change: TableChange): void;
  /** For the controller, once: what answers told since the last time is gone then. */
  takeDemand(): ModelDemand[];
  history(): RouterHello['history'];
  states(): ModelState[];
  stop(): void;
}

export interface ModelQueuesOptions {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly bounds: RouterBounds;
  readonly metrics: Metrics;
  readonly table: () => TableKeeper;
  onChange(): void;
  onStarved(): void;
}

export function createModelQueues(options: ModelQueuesOptions): ModelQueues {
  const { clock, bounds, metrics } = options;
  const table = () => options.table().current();
  const book = createEndpointBook(options.rng);
  const queues = new Map<string, ModelQueue>();
  const show = ({ model, queued, inFlight }: ModelDemand) => {
    metrics.set('queued', { model }, queued);
    metrics.set('inFlight', { model }, inFlight);
  };
  const create = (model: string) =>
    createModelQueue({
      ...{ model, clock, book, bounds, table },
      onChange: options.onChange,
      onStarved: options.onStarved,
    });
  const of = (model: string) => {
    const queue = queues.get(model) ?? create(model);
    queues.set(model, queue);
    return queue;
  };
  const forgetGone = () => {
    for (const [model, queue] of queues) {
      if (table().byModel.has(model) || !queue.isIdle()) continue;
      queue.stop();
      queues.delete(model);
      metrics.forget('queued', { model });
      metrics.forget('inFlight', { model });
    }
  };
  return {
    book,
    of,
    onTableChange(change) {
      book.update(table(), change);
      for (const { model } of table().models) of(model);
      for (const queue of [...queues.values()]) queue.onTableChange();
      forgetGone();
    },
    takeDemand() {
      const all = [...queues.values()].map((queue) => queue.takeDemand());
      for (const row of all) show(row);
      return all;
    },
    history: () =>
      [...queues.values()].slice(0, HISTORY_MODELS_MAX).map((queue) => ({
        model: queue.model,
        countsPer10s: queue.arrivalCounts(),
        tokensPer10s: queue.arrivalTokens(),
      })),
    states: () => readStates(options.table(), of),
    stop() {
      for (const queue of queues.values()) queue.stop();
    },
  };
}

/** The most models whose history fits into a hello (src/api/link.ts). */

function readStates(keeper: TableKeeper, of: (model: string) => ModelQueue): ModelState[] {
  const table = keeper.current();
  return table.models.map(({ model, servedName }) => {
    const warmth = table.warmth.get(model);
    const { queued, inFlight } = of(model).demand();
    return {
      model,
      servedName,
      rung: warmth?.rung ?? 'Absent',
      etaMs: warmth?.etaMs ?? 0,
      queued,
      inFlight,
      awake: table.endpointsOf.get(model)?.length ?? 0,
      ...(warmth?.failure === undefined ? {} : { failure: warmth.failure }),
    };
  });
}
