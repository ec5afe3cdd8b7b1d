// What the stages of a request share: the router's parts, made once. Holds no request.
import type { RetryBudget } from '../core/route/retry.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { RouterBounds } from './bounds.ts';
import type { TableKeeper } from './link/table-keeper.ts';
import type { OpenCalls } from './open-calls.ts';
import type { KeptPlaces } from './queue/kept-places.ts';
import type { ModelQueues } from './queue/model-queues.ts';
import type { Door } from './stage/authenticate.ts';
import type { BodyBudget } from './stage/limit.ts';
import type { BodyParser } from './stage/parse-pool.ts';
import type { Connections } from './upstream/connections.ts';
import type { Departures } from './upstream/departures.ts';

export interface RouterContext {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly bounds: RouterBounds;
  readonly door: Door;
  readonly bodies: BodyBudget;
  readonly parser: BodyParser;
  readonly table: TableKeeper;
  readonly queues: ModelQueues;
  readonly keptPlaces: KeptPlaces;
  readonly retries: RetryBudget;
  readonly connections: Connections;
  readonly departures: Departures;
  readonly calls: OpenCalls;
  isDraining(): boolean;
}
