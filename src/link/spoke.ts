// A spoke's end of the link: keeps one session with the hub, redials with full jitter (soon after a hub that said it moves),
// remembers the fence.
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
import { readTokenLife, type TokenLife } from '../lib/token-life.ts';
import type {
  AgentSpoke,
  AgentSpokeHandlers,
  RouterSpoke,
  RouterSpokeHandlers,
  Spoke,
  SpokeHandlers,
} from '../ports/link.ts';
import {
  HANDSHAKE_MS_MAX,
  MOVED_CONNECT_MS_MAX,
  MOVED_MS_MAX,
  REDIAL_MS_MAX,
  RENEW_RETRY_MS,
  RENEW_SHARE,
  SETTLED_MS,
} from './bounds.ts';
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
  /** PEM of the authorities that may have signed the hub's certificate, for wss. Asked at every dial. */
  ca?(): Promise<string>;
}

export function createAgentSpoke(options: SpokeOptions<AgentHello>, handlers: AgentSpokeHandlers): AgentSpoke {
  return new LinkSpoke<AgentToHub, HubToAgent>(createFrameParser(hubToAgentSchema), options, handlers);
}

export function createRouterSpoke(options: SpokeOptions<RouterHello>, handlers: RouterSpokeHandlers): RouterSpoke {
  return new LinkSpoke<RouterToHub, HubToRouter>(createFrameParser(hubToRouterSchema), options, handlers);
}

type AnyHello = AgentHello | RouterHello;

interface Credentials {
  readonly token: string;
  readonly ca: string | undefined;
}

class LinkSpoke<Out extends object, In extends Inbound> implements Spoke<Out> {
  readonly #parse: FrameParser<In>;
  readonly #options: SpokeOptions<AnyHello>;
  readonly #handlers: SpokeHandlers<Obeyed<In>>;
  readonly #fence = createFence();
  #state: 'idle' | 'running' | 'stopped' = 'idle';
  #session: Dialled | undefined;
  /** Dialled with the next token; takes the session's place once it is open. */
  #successor: Dialled | undefined;
  #token = '';
  #renewal: Timer | undefined;
  #isOpen = false;
  #openedAtMs = 0;
  #failures = 0;
  #redial: Timer | undefined;
  /** The hub has said that another one takes its place. */
  #moved: { readonly redialMs: number; readonly untilMs: number } | undefined;

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
    this.#renewal?.cancel();
    await Promise.all([this.#session?.close(1000, 'stopping'), this.#successor?.close(1000, 'stopping')]);
  }

  send(message: Out): boolean {
    return this.#session?.send(message) ?? false;
  }

  isConnected(): boolean {
    return this.#isOpen;
  }

  /** Never rejects: whatever goes wrong before the session ends here and is tried again. */
  async #dial(): Promise<void> {
    try {
      const credentials = await this.#readCredentials();
      if (this.#state === 'running') this.#session = this.#open(credentials);
    } catch (error) {
      this.#onEnd(sentenceOf(error), false);
    }
  }

  /** The session goes on until one with the next token is there. */
  async #renew(): Promise<void> {
    try {
      const credentials = await this.#readCredentials();
      if (this.#state !== 'running' || !this.#isOpen || this.#successor !== undefined) return;
      if (credentials.token === this.#token) this.#renewIn(RENEW_RETRY_MS);
      else this.#successor = this.#open(credentials);
    } catch (error) {
      this.#options.log.warn({ reason: sentenceOf(error) }, 'the link could not be renewed and is tried again');
      this.#renewIn(RENEW_RETRY_MS);
    }
  }

  #renewIn(delayMs: number): void {
    this.#renewal?.cancel();
    if (this.#state === 'running') this.#renewal = this.#options.clock.after(delayMs, () => void this.#renew());
  }

  #readCredentials(): Promise<Credentials> {
    const { clock, token, ca } = this.#options;
    const asked = Promise.all([token(), ca?.()]);
    return within(clock, HANDSHAKE_MS_MAX, asked).then(([text, authority]) => ({ token: text, ca: authority }));
  }

  #open({ token, ca }: Credentials): Dialled {
    const { clock, log } = this.#options;
    const own = dial<In>({
      url: this.#options.url(),
      token,
      hello: this.#hello(),
      ...(ca === undefined ? {} : { ca }),
      clock,
      log,
      fence: this.#fence,
      parse: this.#parse,
      connectMsMax: this.#isMoving() ? MOVED_CONNECT_MS_MAX : undefined,
      onOpen: () => this.#onOpen(own, token),
      onMessage: (message) => {
        if (own === this.#session) this.#obey(() => this.#handlers.onMessage(message));
      },
      onMoved: ({ redialMs }) => {
        if (own === this.#session) this.#moved = { redialMs, untilMs: clock.nowMs() + MOVED_MS_MAX };
      },
      onEnd: (reason, wasOpen) => this.#onEndOf(own, reason, wasOpen),
    });
    return own;
  }

  #hello(): AnyHello {
    const hello = this.#options.hello();
    const highest = this.#fence.highest();
    return comparePairs(hello.fence, highest) >= 0 ? hello : { ...hello, fence: highest };
  }

  #onOpen(own: Dialled, token: string): void {
    if (own === this.#successor) {
      const before = this.#session;
      this.#session = own;
      this.#successor = undefined;
      void before?.close(1000, 'a newer session took its place');
    }
    this.#isOpen = true;
    this.#moved = undefined;
    this.#token = token;
    const life = readTokenLife(token);
    if (life !== undefined) this.#renewIn(Math.max(RENEW_RETRY_MS, this.#renewalDelayMs(life)));
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

  /** Spread over the second half of the last part of the token's life, so that spokes do not all come at once. */
  #renewalDelayMs({ issuedAtMs, expiresAtMs }: TokenLife): number {
    const { clock, rng } = this.#options;
    const restMs = (expiresAtMs - issuedAtMs) * RENEW_SHARE * (1 - rng.next() / 2);
    return expiresAtMs - clock.wallMs() - restMs;
  }

  #onEndOf(own: Dialled, reason: string, wasOpen: boolean): void {
    if (own === this.#successor) {
      this.#successor = undefined;
      this.#options.log.warn({ reason }, 'the link could not be renewed and is tried again');
      this.#renewIn(RENEW_RETRY_MS);
    } else if (own === this.#session && this.#successor !== undefined) {
      // The hub has let the old one go: the new one is on its way.
      this.#session = this.#successor;
      this.#successor = undefined;
      this.#isOpen = false;
      if (wasOpen) this.#obey(() => this.#handlers.onClose(reason));
    } else if (own === this.#session) this.#onEnd(reason, wasOpen);
  }

  #isMoving(): boolean {
    return this.#moved !== undefined && this.#options.clock.nowMs() < this.#moved.untilMs;
  }

  #onEnd(reason: string, wasOpen: boolean): void {
    const { clock, log, rng } = this.#options;
    this.#session = undefined;
    this.#isOpen = false;
    this.#renewal?.cancel();
    if (wasOpen && clock.nowMs() - this.#openedAtMs >= SETTLED_MS) this.#failures = 0;
    if (wasOpen) this.#obey(() => this.#handlers.onClose(reason));
    if (this.#state !== 'running') return;
    const isMoving = this.#isMoving();
    const redialMs = Math.round(rng.next() * (isMoving ? (this.#moved?.redialMs ?? 0) : redialMsMax(this.#failures)));
    if (!isMoving) this.#failures += 1;
    // What comes between two hubs is no trouble yet.
    if (isMoving && !wasOpen) log.debug({ reason, redialMs }, 'the next hub is not there yet');
    else log.warn({ reason, redialMs }, 'the link is down');
    this.#redial = clock.after(redialMs, () => void this.#dial());
  }
}

function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function redialMsMax(failures: number): number {
  return REDIAL_MS_MAX[Math.min(failures, REDIAL_MS_MAX.length - 1)] ?? 0;
}

/** Rejects when the promise has not settled in time, so that a stuck token source cannot stop the redials. */
function within<T>(clock: Clock, ms: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(ms, () =>
      reject(new Error(`the link's token and authority could not be read within ${ms} ms`)),
    );
    void promise.then(resolve, reject).finally(() => timer.cancel());
  });
}
