// The hub's end of the link: listens, admits sessions, keeps the list of them, replaces an older session of the same
// slot or router by the newer one. Never decides what is sent: its owner does.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, Server as TlsServer } from 'node:https';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { LINK_FRAME_BYTES_MAX, REDIAL_MS_TOLD_MAX } from '../api/link.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Hub, HubHandlers, HubSession } from '../ports/link.ts';
import {
  HANDSHAKE_MS_MAX,
  MOVED_REDIAL_MS_MIN,
  MOVED_REDIAL_MS_PER_SESSION,
  PENDING_MAX,
  SESSIONS_MAX,
} from './bounds.ts';
import type { Channel } from './channel.ts';
import { openHubSession } from './hub-session.ts';
import { type Accepted, renderRefusal, reviewUpgrade } from './upgrade.ts';

export interface HubOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** What this hub's messages carry, told in welcome. */
  readonly epoch: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Our own release, to say in the log when a spoke has another one. */
  readonly release: string;
  /** Sockets above this are answered with 503. Default 5000. */
  readonly sessionsMax?: number;
  /** PEM texts. Without them the link is plain, for loopback. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

export interface CertifiedHub extends Hub {
  /** For connections from now on. Only a hub that was made with a certificate takes another. */
  useCertificate(tls: Required<HubOptions>['tls']): void;
}

const TLS_MIN = 'TLSv1.3';

export function createHub(options: HubOptions, handlers: HubHandlers): CertifiedHub {
  return new LinkHub(options, handlers);
}

class LinkHub implements CertifiedHub {
  readonly #options: HubOptions;
  readonly #handlers: HubHandlers;
  readonly #server: Server;
  readonly #upgrader = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: LINK_FRAME_BYTES_MAX,
  });
  /** Every upgraded socket, with or without hello. */
  readonly #channels = new Set<Channel>();
  /** Upgrades under review. */
  readonly #pending = new Set<Duplex>();
  /** By slot or router: at most one session each. */
  readonly #sessions = new Map<string, HubSession>();
  #isStopping = false;

  constructor(options: HubOptions, handlers: HubHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    const bounds = { headersTimeout: HANDSHAKE_MS_MAX, requestTimeout: HANDSHAKE_MS_MAX, maxHeaderSize: 16_384 };
    this.#server =
      options.tls === undefined
        ? createServer(bounds, answerNothing)
        : createTlsServer({ ...bounds, ...options.tls, minVersion: TLS_MIN }, answerNothing);
    this.#server.on(
      'upgrade',
      (request: IncomingMessage, socket: Duplex, head: Buffer) => void this.#onUpgrade(request, socket, head),
    );
  }

  start(): Promise<{ readonly port: number }> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#options.port, this.#options.host, () => {
        this.#server.removeListener('error', reject);
        this.#server.on('error', (error) =>
          this.#options.log.error({ error: error.message }, 'the link cannot accept a connection'),
        );
        const address = this.#server.address();
        resolve({ port: typeof address === 'object' && address !== null ? address.port : this.#options.port });
      });
    });
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#pending) socket.destroy();
    const redialMs = movedRedialMs(this.#sessions.size);
    for (const session of this.#sessions.values()) session.send({ type: 'moved', redialMs });
    const channels = [...this.#channels];
    for (const channel of channels) channel.close(1001, 'the hub is stopping');
    await Promise.all(channels.map((channel) => channel.closed));
    this.#server.closeAllConnections();
    await closed;
  }

  sessions(): readonly HubSession[] {
    return [...this.#sessions.values()];
  }

  useCertificate(tls: Required<HubOptions>['tls']): void {
    if (this.#server instanceof TlsServer) this.#server.setSecureContext({ ...tls, minVersion: TLS_MIN });
  }

  async #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { clock, log } = this.#options;
    socket.on('error', (error) => log.debug({ error: error.message }, 'a link socket failed during its upgrade'));
    this.#pending.add(socket);
    const verdict = await reviewUpgrade(request, {
      clock,
      hasRoom: () => this.#hasRoom(),
      authenticate: (token) => this.#handlers.authenticate(token),
    });
    this.#pending.delete(socket);
    if (socket.destroyed || this.#isStopping) socket.destroy();
    else if (verdict.kind === 'refuse') {
      log.warn(
        { status: verdict.status, from: request.socket.remoteAddress ?? '', why: verdict.why },
        'refused a link session',
      );
      renderRefusal(socket, verdict.status);
    } else this.#upgrader.handleUpgrade(request, socket, head, (webSocket) => this.#onSocket(webSocket, verdict));
  }

  #sessionsMax(): number {
    return this.#options.sessionsMax ?? SESSIONS_MAX;
  }

  /** The upgrade that asks is already counted among the pending ones. */
  #hasRoom(): boolean {
    const sockets = this.#channels.size + this.#pending.size;
    return !this.#isStopping && sockets <= this.#sessionsMax() && sockets - this.#sessions.size <= PENDING_MAX;
  }

  #onSocket(socket: WebSocket, { identity, isTokenAccepted }: Accepted): void {
    const { epoch, clock, log } = this.#options;
    const channel = openHubSession({
      socket,
      identity,
      isTokenAccepted,
      epoch,
      clock,
      log,
      handlers: this.#handlers,
      onOpen: (session) => this.#onOpen(session),
      onEnd: (reason, session) => this.#onEnd(reason, session),
    });
    this.#channels.add(channel);
    void channel.closed.then(() => this.#channels.delete(channel));
  }

  #onOpen(session: HubSession): void {
    const { log, release } = this.#options;
    const { hello, role } = session;
    const key = sessionKey(session);
    this.#sessions.get(key)?.close('a newer session took its place');
    this.#sessions.set(key, session);
    const facts = { session: session.id, role, name: hello.name, release: hello.release };
    log.info(facts, hello.release === release ? 'a link session is open' : 'a link session of another release is open');
    this.#handlers.onOpen(session);
  }

  #onEnd(reason: string, session: HubSession | undefined): void {
    const { log } = this.#options;
    if (session === undefined) {
      log.warn({ reason }, 'a link session ended before hello');
      return;
    }
    const key = sessionKey(session);
    if (this.#sessions.get(key) === session) this.#sessions.delete(key);
    log.info({ session: session.id, role: session.role, name: session.hello.name, reason }, 'a link session ended');
    try {
      this.#handlers.onClose(session, reason);
    } catch (error) {
      log.error({ error: String(error), session: session.id }, 'the end of a link session could not be handled');
    }
  }
}

/** What there may be one session of: a slot by its Pod, a router by its name. */
function sessionKey(session: HubSession): string {
  return session.role === 'agent' ? `agent ${session.hello.podUid}` : `router ${session.hello.name}`;
}

/** How long the dials of this many spokes should be spread. */
function movedRedialMs(sessions: number): number {
  return Math.min(REDIAL_MS_TOLD_MAX, Math.max(MOVED_REDIAL_MS_MIN, sessions * MOVED_REDIAL_MS_PER_SESSION));
}

/** Only upgrades are answered here. */
function answerNothing(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(404, { 'content-length': 0, connection: 'close' }).end();
}
