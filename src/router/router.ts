// The router: every request of every caller, from the door to an instance and back. Owns its parts and their order of
// start and stop. Has no credentials for the cluster; what it knows comes over the link.
import { LINK_VERSION_MAX, LINK_VERSION_MIN, type RouterHello } from '../api/link.ts';
import { isLoopback } from '../core/route/origin-rule.ts';
import { createRetryBudget } from '../core/route/retry.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Rng } from '../lib/rng.ts';
import type { RouterSpoke, RouterSpokeHandlers } from '../ports/link.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { createAdminServer } from './admin/admin-server.ts';
import { type ApiKeys, createKeyRing } from './api-keys.ts';
import { type RouterBounds, routerBounds } from './bounds.ts';
import type { RouterContext } from './context.ts';
import { Ending } from './ending.ts';
import { createOpenAiServer } from './http/server.ts';
import { createDemandReporter, renderDemand } from './link/demand-reporter.ts';
import { createTableKeeper } from './link/table-keeper.ts';
import { createOpenCalls } from './open-calls.ts';
import { createKeptPlaces } from './queue/kept-places.ts';
import { createModelQueues } from './queue/model-queues.ts';
import { draining } from './serve-call.ts';
import { createBodyBudget } from './stage/limit.ts';
import { createBodyParser } from './stage/parse-pool.ts';
import { createConnections } from './upstream/connections.ts';
import { createDepartures } from './upstream/departures.ts';

export interface RouterOptions {
  /** Names the session at the controller. */
  readonly name: string;
  readonly release: string;
  readonly host: string;
  readonly port: number;
  /** 127.0.0.1 when unset. Beyond loopback only health and metrics answer: the page is for this machine (DESIGN §11). */
  readonly adminHost?: string;
  readonly adminPort: number;
  /** Missing: only this machine may ask, and asks without a key. */
  readonly apiKeys?: ApiKeys;
  connectLink(handlers: RouterSpokeHandlers, hello: () => RouterHello): RouterSpoke;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly bounds?: Partial<RouterBounds>;
}

export interface Router {
  /** Rejects with Node's EADDRINUSE error, which carries the port, when one of them is taken. */
  start(): Promise<{ readonly port: number; readonly adminPort: number }>;
  /** Takes these keys from now on. Sockets whose key is not among them are closed. Only for a router that has keys. */
  replaceApiKeys(keys: ApiKeys): void;
  /** Refuses what is new, ends what is held, gives running answers `graceMs`, then cuts them truthfully. */
  stop(graceMs: number): Promise<void>;
}

/** After the cut: time for the last bytes to leave. */
const FLUSH_MS_MAX = 1000;

export function createRouter(options: RouterOptions): Router {
  if (options.apiKeys === undefined && !isLoopback(options.host)) {
    throw new Error(
      `The OpenAI API cannot listen on ${options.host} without API keys: name a file of keys with --api-keys-file.`,
    );
  }
  return new RunningRouter(options);
}

class RunningRouter implements Router {
  readonly #options: RouterOptions;
  readonly #context: RouterContext;
  readonly #server;
  readonly #admin;
  readonly #link;
  readonly #demand;
  #isDraining = false;
  #stopping: Promise<void> | undefined;

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#demand = createDemandReporter(options.clock, () => this.#sendDemand());
    this.#context = this.#createContext();
    this.#server = createOpenAiServer(this.#context);
    this.#admin = createAdminServer({
      host: options.adminHost ?? '127.0.0.1',
      port: options.adminPort,
      metrics: options.metrics,
      log: options.log,
      isReady: () => this.#context.table.isReady() && !this.#isDraining,
      models: () => this.#context.queues.states(),
      openAiHandler: this.#server.handle,
    });
    this.#link = options.connectLink(this.#linkHandlers(), () => this.#hello());
  }

  async start(): Promise<{ port: number; adminPort: number }> {
    const port = await this.#server.listen(this.#options.host, this.#options.port);
    try {
      const { port: adminPort } = await this.#admin.start();
      this.#link.start();
      return { port, adminPort };
    } catch (error) {
      await this.#server.close();
      await this.#stopParts();
      throw error;
    }
  }

  replaceApiKeys(keys: ApiKeys): void {
    this.#context.door.apiKeys?.replace(keys);
    this.#server.sockets.dismissRevoked();
  }

  stop(graceMs: number): Promise<void> {
    this.#stopping ??= this.#stop(graceMs);
    return this.#stopping;
  }

  async #stop(graceMs: number): Promise<void> {
    const { calls } = this.#context;
    this.#isDraining = true;
    for (const call of calls.all()) if (!call.isAtInstance) call.end(draining());
    this.#server.sockets.drain();
    await this.#emptyWithin(graceMs);
    for (const call of calls.all()) call.end(cut());
    await this.#emptyWithin(FLUSH_MS_MAX);
    await this.#server.close();
    await this.#admin.stop();
    await this.#link.stop();
    await this.#stopParts();
  }

  /** Resolves when no request is open, or when the time is over. */
  #emptyWithin(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(ms, resolve);
      void this.#context.calls.whenEmpty().then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  async #stopParts(): Promise<void> {
    const { queues, connections, departures, parser } = this.#context;
    this.#demand.stop();
    departures.stop();
    queues.stop();
    await Promise.all([connections.stop(), parser.stop()]);
  }

  #createContext(): RouterContext {
    const { clock, rng, log, metrics, apiKeys, host } = this.#options;
    const bounds = { ...routerBounds, ...this.#options.bounds };
    const connections = createConnections();
    const departures = createDepartures({ clock });
    const table = createTableKeeper(clock, (change) => {
      if (change.endpoints) {
        const addresses = new Set(table.current().endpoints.map(({ address }) => address));
        connections.keepOnly(addresses);
        departures.keepOnly(addresses);
      }
      queues.onTableChange(change);
    });
    const queues = createModelQueues({
      ...{ clock, rng, bounds, metrics },
      table: () => table,
      onChange: () => this.#demand.changed(),
      onStarved: () => this.#demand.urgent(),
    });
    return {
      ...{ clock, log, metrics, bounds, table, queues, connections, departures },
      door: {
        apiKeys: apiKeys === undefined ? undefined : createKeyRing(apiKeys),
        hosts: new Set([host.toLowerCase()]),
      },
      bodies: createBodyBudget(bounds.bodiesBytesMax),
      parser: createBodyParser(bounds.parseInlineBytesMax),
      keptPlaces: createKeptPlaces(clock),
      retries: createRetryBudget(undefined, clock.nowMs()),
      calls: createOpenCalls(),
      isDraining: () => this.#isDraining,
    };
  }

  #linkHandlers(): RouterSpokeHandlers {
    return {
      onOpen: () => this.#demand.urgent(),
      onMessage: (message) => {
        const { table } = this.#context;
        table.apply(message);
        const { epoch, seq, versions } = table.current();
        this.#link.send({ type: 'acknowledge', epoch, seq, versions });
      },
      // The last table is kept, and served by.
      onClose: () => {},
    };
  }

  #sendDemand(): void {
    const models = this.#context.queues.takeDemand();
    if (this.#link.isConnected()) this.#link.send(renderDemand(models));
  }

  #hello(): RouterHello {
    const { name, release } = this.#options;
    const { epoch, seq } = this.#context.table.current();
    return {
      ...{ type: 'hello', role: 'router', name, release },
      versions: { min: LINK_VERSION_MIN, max: LINK_VERSION_MAX },
      fence: { epoch, seq },
      history: this.#context.queues.history(),
    };
  }
}

function cut(): Ending {
  return new Ending('draining', 'This router is shutting down, and the answer was cut before it was complete.');
}
