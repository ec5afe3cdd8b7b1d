// A spoke's end of the link: keeps one session with the hub, redials with full jitter, remembers the fence.
// Never queues messages: state is sent again after every hello.
import {
  type AgentHello,
  type AgentToHub,
  type HubToAgent,
  type HubToRouter,
  hubToAgentSchema,
  hubToRouterSchema,
  type RouterHello,
  type RouterToHub,
} from '../api/link.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Rng } from '../lib/rng.ts';
import type {
  AgentSpoke,
  AgentSpokeHandlers,
  RouterSpoke,
  RouterSpokeHandlers,
  Spoke,
  SpokeHandlers,
} from '../ports/link.ts';
import { HANDSHAKE_MS_MAX, REDIAL_MS_MAX, SETTLED_MS } from './bounds.ts';
import { type Dialled, dial, type Inbound, type Obeyed } from './dial.ts';
import { comparePairs, createFence } from './fence.ts';
import { createFrameParser, type FrameParser } from './frames.ts';

export interface SpokeOptions<Hello> {
  /** The hub's address, for example ws://127.0.0.1:8083. Asked at every dial. */
  url(): string;
  /** The bearer token. Asked at every dial, so that a renewed one is used. */
  token(): Promise<string>;
  /** Asked at every dial. Its fence is raised to the highest pair that this spoke has let through. */
  hello(): Hello;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  /** PEM of the authority that signed the hub's certificate, for wss. */
  readonly ca?: string;
}

export function createAgentSpoke(options: SpokeOptions<AgentHello>, handlers: AgentSpokeHandlers): AgentSpoke {
  return new LinkSpoke<AgentToHub, HubToAgent>(createFrameParser(hubToAgentSchema), options, handlers);
}

export function createRouterSpoke(options: SpokeOptions<RouterHello>, handlers: RouterSpokeHandlers): RouterSpoke {
  return new LinkSpoke<RouterToHub, HubToRouter>(createFrameParser(hubToRouterSchema), options, handlers);
}

type AnyHello = AgentHello | RouterHello;

class LinkSpoke<Out extends object, In extends Inbound> implements Spoke<Out> {
  readonly #parse: FrameParser<In>;
  readonly #options: SpokeOptions<AnyHello>;
  readonly #handlers: SpokeHandlers<Obeyed<In>>;
  readonly #fence = createFence();
  #state: 'idle' | 'running' | 'stopped' = 'idle';
  #session: Dialled | undefined;
  #isOpen = false;
  #openedAtMs = 0;
  #failures = 0;
  #redial: Timer | undefined;

  constructor(parse: FrameParser<In>, options: SpokeOptions<AnyHello>, handlers: SpokeHandlers<Obeyed<In>>) {
    this.#parse = parse;
    this.#options = options;
    this.#handlers = handlers;
  }

  start(): void {
    if (this.#state !== 'idle') return;
    this.#state = 'running';
    void this.#dial();
  }

  async stop(): Promise<void> {
    this.#state = 'stopped';
    this.#redial?.cancel();
    await this.#session?.close(1000, 'stopping');
  }

  send(message: Out): boolean {
    return this.#session?.send(message) ?? false;
  }

  isConnected(): boolean {
    return this.#isOpen;
  }

  /** Never rejects: whatever goes wrong before the session ends here and is tried again. */
  async #dial(): Promise<void> {
    const { clock, log, ca } = this.#options;
    try {
      const token = await within(clock, HANDSHAKE_MS_MAX, this.#options.token());
      if (this.#state === 'stopped') return;
      this.#session = dial<In>({
        url: this.#options.url(),
        token,
        hello: this.#hello(),
        ...(ca === undefined ? {} : { ca }),
        clock,
        log,
        fence: this.#fence,
        parse: this.#parse,
        onOpen: () => this.#onOpen(),
        onMessage: (message) => this.#obey(() => this.#handlers.onMessage(message)),
        onEnd: (reason, wasOpen) => this.#onEnd(reason, wasOpen),
      });
    } catch (error) {
      this.#onEnd(error instanceof Error ? error.message : String(error), false);
    }
  }

  #hello(): AnyHello {
    const hello = this.#options.hello();
    const highest = this.#fence.highest();
    return comparePairs(hello.fence, highest) >= 0 ? hello : { ...hello, fence: highest };
  }

  #onOpen(): void {
    this.#isOpen = true;
    this.#openedAtMs = this.#options.clock.nowMs();
    this.#options.log.info({}, 'the link is up');
    this.#obey(() => this.#handlers.onOpen());
  }

  /** A handler that throws has lost track: the session ends, and a new one sends the whole state again. */
  #obey(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#options.log.error({ error: String(error) }, 'a link message could not be handled');
      void this.#session?.close(1011, 'a message could not be handled');
    }
  }

  #onEnd(reason: string, wasOpen: boolean): void {
    const { clock, log, rng } = this.#options;
    this.#session = undefined;
    this.#isOpen = false;
    if (wasOpen && clock.nowMs() - this.#openedAtMs >= SETTLED_MS) this.#failures = 0;
    if (wasOpen) this.#obey(() => this.#handlers.onClose(reason));
    if (this.#state !== 'running') return;
    const redialMs = Math.round(rng.next() * redialMsMax(this.#failures));
    this.#failures += 1;
    log.warn({ reason, redialMs }, 'the link is down');
    this.#redial = clock.after(redialMs, () => void this.#dial());
  }
}

function redialMsMax(failures: number): number {
  return REDIAL_MS_MAX[Math.min(failures, REDIAL_MS_MAX.length - 1)] ?? 0;
}

/** Rejects when the promise has not settled in time, so that a stuck token source cannot stop the redials. */
function within<T>(clock: Clock, ms: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(ms, () => reject(new Error(`the link token could not be read within ${ms} ms`)));
    void promise.then(resolve, reject).finally(() => timer.cancel());
  });
}
