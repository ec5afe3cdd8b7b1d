// A router on free ports with a fake controller's end of the link: the test writes the table and reads the demand. For
// tests of the router.
import {
  type Demand,
  type Endpoint,
  type ModelWarmth,
  type PolicyModel,
  type RouterHello,
  type RouterToHub,
  routerHelloSchema,
  type Table,
  tableSchema,
} from '../../src/api/link.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import type { Log, LogFields } from '../../src/lib/log.ts';
import { createRng } from '../../src/lib/rng.ts';
import type { RouterSpoke, RouterSpokeHandlers } from '../../src/ports/link.ts';
import type { ApiKeys } from '../../src/router/api-keys.ts';
import type { RouterBounds } from '../../src/router/bounds.ts';
import { createRouter, type Router } from '../../src/router/router.ts';
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts';
import { slotKey } from './fake-hub.ts';
import { until } from './until.ts';

export interface TableParts {
  readonly models?: readonly Partial<PolicyModel>[];
  readonly endpoints?: readonly (Partial<Endpoint> & { readonly address: string })[];
  readonly warmth?: readonly Partial<ModelWarmth>[];
  readonly keys?: readonly { readonly podUid: string; readonly version: number; readonly key: string }[];
}

export interface RunningRouter {
  readonly router: Router;
  readonly url: string;
  readonly adminUrl: string;
  readonly port: number;
  readonly metrics: Metrics;
  readonly sent: RouterToHub[];
  readonly lines: LogFields[];
  hello(): RouterHello;
  /** Sends a whole table: what is left out is empty, but for one model `demo` and the key of every endpoint's slot. */
  table(parts: TableParts): void;
  push(table: Table): void;
  drop(): void;
  open(): void;
  demand(): Demand | undefined;
  /** Waits until the demand says so. */
  demanded(condition: (demand: Demand['models'][number]) => boolean, what: string): Promise<void>;
  /** Waits for the line that is logged when a request has ended. */
  ended(outcome: string): Promise<LogFields>;
  close(graceMs?: number): Promise<void>;
}

export interface RunningRouterOptions {
  readonly clock?: Clock;
  readonly bounds?: Partial<RouterBounds>;
  readonly apiKeys?: ApiKeys;
  /** No table at first. */
  readonly tableless?: boolean;
}

export async function startRouter(options: RunningRouterOptions = {}): Promise<RunningRouter> {
  const sent: RouterToHub[] = [];
  const lines: LogFields[] = [];
  let handlers: RouterSpokeHandlers | undefined;
  let sayHello: (() => RouterHello) | undefined;
  let isConnected = false;
  let version = 0;
  const metrics = createMetrics();
  const log = recordingLog(lines);
  const router = createRouter({
    name: 'router-test',
    release: '0.1.0',
    host: '127.0.0.1',
    port: 0,
    adminPort: 0,
    ...(options.apiKeys === undefined ? {} : { apiKeys: options.apiKeys }),
    ...(options.bounds === undefined ? {} : { bounds: options.bounds }),
    connectLink(given, hello): RouterSpoke {
      handlers = given;
      sayHello = hello;
      return {
        start: () => {},
        async stop() {
          isConnected = false;
        },
        send(message) {
          if (isConnected) sent.push(message);
          return isConnected;
        },
        isConnected: () => isConnected,
      };
    },
    clock: options.clock ?? systemClock,
    rng: createRng(11),
    log,
    metrics,
  });
  const { port, adminPort } = await router.start();
  const running: RunningRouter = {
    ...{ router, metrics, sent, lines, port },
    url: `http://127.0.0.1:${port}`,
    adminUrl: `http://127.0.0.1:${adminPort}`,
    hello: () => routerHelloSchema.parse(sayHello?.()),
    table(parts) {
      version += 1;
      running.push(wholeTable(parts, version));
    },
    push: (table) => handlers?.onMessage(tableSchema.parse(table)),
    drop() {
      isConnected = false;
      handlers?.onClose('gone');
    },
    open() {
      isConnected = true;
      handlers?.onOpen();
    },
    demand: () => sent.findLast((message) => message.type === 'demand'),
    demanded: (condition, what) =>
      until(() => running.demand()?.models.some(condition) ?? false, `${what}: ${JSON.stringify(running.demand())}`),
    async ended(outcome) {
      const find = () => lines.findIndex((line) => line.outcome === outcome);
      await until(() => find() >= 0, `a request that ended with ${outcome}; ${JSON.stringify(lines)}`);
      return lines.splice(find(), 1)[0] ?? {};
    },
    close: (graceMs = 0) => router.stop(graceMs),
  };
  running.open();
  if (options.tableless !== true) running.table({});
  return running;
}

function recordingLog(lines: LogFields[]): Log {
  const keep = (fields: LogFields) => void lines.push(fields);
  return { debug: keep, info: keep, warn: keep, error: keep };
}

/** Version is that of every section. */
export function wholeTable(parts: TableParts, version: number, epoch = 1): Table {
  const endpoints = (parts.endpoints ?? []).map((given, index) => ({
    instance: `pod-${index}/demo-1/1`,
    podUid: `pod-${index}`,
    model: 'demo',
    revision: 'demo-1',
    share: 4,
    ...given,
  }));
  const section = <T>(data: T) => ({ version, hash: `h${version}`, data });
  const models = (parts.models ?? [{}]).map((given) => ({
    model: 'demo',
    servedName: 'demo',
    createdSeconds: 1_700_000_000,
    stable: { revision: 'demo-1', digest: 'v1:sha256:0' },
    contextLength: 512,
    concurrency: 4,
    ...given,
  }));
  const warmth = (parts.warmth ?? []).map((given) => ({
    model: 'demo',
    rung: 'Asleep' as const,
    etaMs: 300,
    ...given,
  }));
  const slots = parts.keys ?? endpoints.map(({ podUid }) => ({ podUid, version: 1, key: slotKey }));
  return {
    type: 'table',
    epoch,
    seq: version,
    policy: section({ models }),
    endpoints: section({ endpoints, warmth }),
    keys: section({ slots: [...slots] }),
  };
}
