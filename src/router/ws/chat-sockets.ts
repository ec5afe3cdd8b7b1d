// All WebSockets of a router: who may open one, how many there may be, and how they leave when the router stops or their key
// is taken away. Compression is off, so that a small message can never become a large one.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import type { CallHead } from '../call.ts';
import type { RouterContext } from '../context.ts';
import { Ending, endingOf } from '../ending.ts';
import { writeRefusal } from '../http/raw-refusal.ts';
import { refuseWhileDraining } from '../serve-call.ts';
import { type ChatSocket, type Goodbye, openChatSocket } from './chat-socket.ts';
import { CHAT_PROTOCOL, reviewUpgrade, type SocketOwner } from './upgrade.ts';

export interface ChatSockets {
  /** An HTTP request that asks for a WebSocket. */
  onUpgrade(request: IncomingMessage, duplex: Duplex, head: Buffer): void;
  /** Ends those whose key is not one of ours any more. */
  dismissRevoked(): void;
  /** Idle ones close now, others with their last request. */
  drain(): void;
  /** Resolves when all are gone. */
  close(): Promise<void>;
}

/** From a close frame to cutting the connection. */
const CLOSE_MS_MAX = 1000;
/** Of a message around its body: type, id, braces. */
const ENVELOPE_BYTES_MAX = 4096;
/** Of the upgrade request; every request on the WebSocket has them. Browsers cannot set any. */
const hints = ['x-stoker-deadline-ms', 'x-stoker-progress'] as const;
const leaving: Goodbye = { code: 1001, reason: 'This router is shutting down.' };

export function createChatSockets(context: RouterContext): ChatSockets {
  return new OpenSockets(context);
}

class OpenSockets implements ChatSockets {
  readonly #context: RouterContext;
  readonly #upgrader: WebSocketServer;
  readonly #sockets = new Set<ChatSocket>();

  constructor(context: RouterContext) {
    this.#context = context;
    this.#upgrader = new WebSocketServer(upgraderOptions(context.bounds.bodyBytesMax));
    this.#upgrader.on('wsClientError', (error, duplex) =>
      this.#refuse(duplex, new Ending('invalid_request', `This is not a WebSocket: ${error.message}.`)),
    );
  }

  onUpgrade(request: IncomingMessage, duplex: Duplex, head: Buffer): void {
    // A connection that breaks has nobody to tell.
    duplex.on('error', () => {});
    try {
      refuseWhileDraining(this.#context);
      const owner = reviewUpgrade(request, this.#context.door);
      if (this.#sockets.size >= this.#context.bounds.webSocketsMax) throw noRoom();
      this.#upgrader.handleUpgrade(request, duplex, head, (socket) =>
        this.#open({ socket, duplex, owner, head: headOf(request) }),
      );
    } catch (error) {
      this.#refuse(duplex, endingOf(error));
    }
  }

  dismissRevoked(): void {
    const { apiKeys } = this.#context.door;
    for (const socket of this.#sockets) {
      const { key } = socket.owner;
      if (apiKeys === undefined || key === undefined || apiKeys.has(key)) continue;
      socket.dismiss(new Ending('invalid_api_key', 'The API key of this WebSocket was taken away.'), {
        code: 1008,
        reason: 'The API key was taken away.',
      });
    }
  }

  drain(): void {
    for (const socket of this.#sockets) socket.leaveWhenIdle(leaving);
  }

  async close(): Promise<void> {
    const all = [...this.#sockets];
    for (const socket of all) socket.close(leaving);
    await Promise.all(all.map((socket) => socket.closed));
  }

  #open(options: { socket: WebSocket; duplex: Duplex; owner: SocketOwner; head: CallHead }): void {
    const { metrics, log } = this.#context;
    const opened = openChatSocket({ ...options, context: this.#context });
    this.#sockets.add(opened);
    metrics.set('webSockets', {}, this.#sockets.size);
    options.socket.once('close', (code) => {
      this.#sockets.delete(opened);
      metrics.set('webSockets', {}, this.#sockets.size);
      log.info({ tenant: opened.owner.tenant, code }, 'a WebSocket ended');
    });
  }

  #refuse(duplex: Duplex, ending: Ending): void {
    this.#context.metrics.count('requests', { model: '', outcome: ending.code });
    writeRefusal(duplex, ending);
  }
}

/** `closeTimeout` is not in the package's types yet. */
function upgraderOptions(bodyBytesMax: number): ServerOptions & { readonly closeTimeout: number } {
  return {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    closeTimeout: CLOSE_MS_MAX,
    maxPayload: bodyBytesMax + ENVELOPE_BYTES_MAX,
    handleProtocols: (protocols) => (protocols.has(CHAT_PROTOCOL) ? CHAT_PROTOCOL : false),
  };
}

function headOf({ method = '', url = '', headers }: IncomingMessage): CallHead {
  return { method, url, headers: Object.fromEntries(hints.map((name) => [name, headers[name]])) };
}

function noRoom(): Ending {
  return new Ending('queue_full', 'Too many WebSockets are open.', { headers: { 'retry-after': '1' } });
}
