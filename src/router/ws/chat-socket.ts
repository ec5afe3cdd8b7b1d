// One WebSocket of a caller: many chat requests at a time, each of which goes through the same stages as over HTTP. Reads
// its messages in order, keeps its bounds, and ends every request of it when it ends. Knows nothing of what is said.
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { type MessageFault, parseSocketMessage, type SocketMessage } from '../../core/route/socket-message.ts';
import { every, type Timer } from '../../lib/clock.ts';
import type { Result } from '../../lib/result.ts';
import { type Call, type CallHead, openCall } from '../call.ts';
import type { RouterContext } from '../context.ts';
import { Ending } from '../ending.ts';
import { serveInference } from '../inference.ts';
import { refuseWhileDraining, serveCall } from '../serve-call.ts';
import { limitWhole } from '../stage/limit.ts';
import { createFairSender, type FairSender } from './fair-sender.ts';
import { createInboundMeter, type InboundMeter } from './inbound-meter.ts';
import { createSocketSink, type SocketSink } from './socket-sink.ts';
import type { SocketOwner } from './upgrade.ts';

export interface ChatSocket {
  readonly owner: SocketOwner;
  /** Ends its requests with this, tells their caller, and closes. */
  dismiss(ending: Ending, goodbye: Goodbye): void;
  /** Closes as soon as it has no request. */
  leaveWhenIdle(goodbye: Goodbye): void;
  close(goodbye: Goodbye): void;
  /** Resolves once the socket is gone. */
  readonly closed: Promise<void>;
}

/** A close code of RFC 6455 §7.4 and a sentence of at most 123 bytes. */
export interface Goodbye {
  readonly code: 1001 | 1003 | 1008 | 1011 | 1013;
  readonly reason: string;
}

export interface ChatSocketOptions {
  readonly socket: WebSocket;
  readonly duplex: Duplex;
  readonly owner: SocketOwner;
  /** Of the upgrade: its hints hold for every request. */
  readonly head: CallHead;
  readonly context: RouterContext;
}

/** For telling a caller that it is dismissed. */
const DISMISS_MS_MAX = 1000;
const noRoom: Goodbye = { code: 1013, reason: 'Too many large requests are waiting.' };
/** Pings in a row that nothing came back for. */
const QUIET_PINGS_MAX = 2;

export function openChatSocket(options: ChatSocketOptions): ChatSocket {
  return new OpenChatSocket(options);
}

class OpenChatSocket implements ChatSocket {
  readonly owner: SocketOwner;
  readonly closed: Promise<void>;
  readonly #options: ChatSocketOptions;
  readonly #sender: FairSender;
  readonly #meter: InboundMeter;
  readonly #beat: Timer;
  readonly #requests = new Map<string, Call>();
  /** Messages that came while one before them is being read elsewhere. */
  readonly #unread: Buffer[] = [];
  #isReading = false;
  #quietPings = 0;
  #nuisances = 0;
  #nuisanceMs = 0;
  #goodbye: Goodbye | undefined;
  /** Nothing new is taken. */
  #isDismissed = false;
  #isClosing = false;

  constructor(options: ChatSocketOptions) {
    this.#options = options;
    this.owner = options.owner;
    const { socket, context, duplex } = options;
    const { bounds, clock, bodies } = context;
    this.#sender = createFairSender({
      socket,
      clock,
      bounds: {
        frameBytesMax: bounds.webSocketFrameBytesMax,
        bufferedBytesMax: bounds.webSocketBufferedBytesMax,
        stallMsMax: bounds.webSocketStallMsMax,
        laneBytesMax: bounds.unreadBytesMax,
        lanesBytesMax: bounds.webSocketWaitingBytesMax,
      },
      onStall: () => this.#onStall(),
    });
    this.#meter = createInboundMeter(duplex, {
      ...{ clock, bodies, messageMsMax: bounds.bodyMsMax },
      onNoRoom: () => this.close(noRoom),
      onLate: () => this.close({ code: 1008, reason: 'A message did not come whole in time.' }),
    });
    this.#beat = every(clock, bounds.webSocketPingEveryMs, () => this.#onBeat(), { background: true });
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    this.#listen();
  }

  dismiss(ending: Ending, goodbye: Goodbye): void {
    this.#isDismissed = true;
    for (const call of this.#requests.values()) call.end(ending);
    this.leaveWhenIdle(goodbye);
    // A reader that does not read what it is told is not waited for.
    const timer = this.#options.context.clock.after(DISMISS_MS_MAX, () => this.close(goodbye), { background: true });
    void this.closed.then(() => timer.cancel());
  }

  leaveWhenIdle(goodbye: Goodbye): void {
    this.#goodbye = goodbye;
    if (this.#requests.size === 0) this.close(goodbye);
  }

  close({ code, reason }: Goodbye): void {
    if (this.#isClosing) return;
    this.#end(new Ending('client_gone', `The WebSocket was closed: ${reason}`));
    this.#options.socket.close(code, reason);
  }

  #listen(): void {
    const { socket } = this.#options;
    socket.on('message', (bytes: Buffer, isBinary) => this.#onMessage(bytes, isBinary));
    socket.on('ping', (payload: Buffer) => {
      this.#heard(payload.length);
      this.#nuisance();
    });
    socket.on('pong', (payload: Buffer) => this.#heard(payload.length));
    // ws says goodbye with the fitting code (1007, 1009) by itself; the end comes as a close.
    socket.on('error', () => this.#end(left()));
    socket.on('close', () => this.#end(left()));
  }

  /** Once; nothing is sent or read after it. */
  #end(ending: Ending): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#beat.cancel();
    this.#unread.length = 0;
    for (const call of this.#requests.values()) call.end(ending);
    this.#requests.clear();
    this.#sender.stop();
    this.#meter.stop();
  }

  #heard(payloadBytes: number): void {
    this.#quietPings = 0;
    this.#meter.control(payloadBytes);
  }

  #onBeat(): void {
    const { socket } = this.#options;
    this.#quietPings += 1;
    if (this.#quietPings > QUIET_PINGS_MAX) socket.terminate();
    else socket.ping();
  }

  #onStall(): void {
    const unread = new Ending('slow_consumer', 'The WebSocket was left unread.');
    for (const call of this.#requests.values()) call.end(unread);
    this.close({ code: 1013, reason: 'Too much was left unread for too long.' });
  }

  /** Pings and messages that make no sense are answered, up to a rate. */
  #nuisance(): void {
    const { clock, bounds } = this.#options.context;
    const nowMs = clock.nowMs();
    if (nowMs - this.#nuisanceMs >= bounds.webSocketNuisanceMs) {
      this.#nuisanceMs = nowMs;
      this.#nuisances = 0;
    }
    this.#nuisances += 1;
    if (this.#nuisances > bounds.webSocketNuisancesMax) {
      this.close({ code: 1008, reason: 'Too many pings or wrong messages.' });
    }
  }

  #onMessage(bytes: Buffer, isBinary: boolean): void {
    this.#quietPings = 0;
    this.#meter.message();
    if (this.#isClosing || this.#isDismissed) return;
    if (isBinary) this.close({ code: 1003, reason: 'Messages are text.' });
    else if (this.#isReading) this.#unread.push(bytes);
    else this.#read(bytes);
  }

  /** Large messages are read elsewhere; what came behind one of them waits, so that the order stays. */
  #read(bytes: Buffer): void {
    const { context, socket } = this.#options;
    if (bytes.length <= context.bounds.parseInlineBytesMax) {
      this.#obey(parseSocketMessage(bytes), bytes);
      return;
    }
    // Nothing else counts it while it waits for the parser; the request that comes of it counts itself.
    if (!context.bodies.take(bytes.length)) {
      this.close(noRoom);
      return;
    }
    this.#isReading = true;
    socket.pause();
    void context.parser
      .parseMessage(bytes)
      .finally(() => context.bodies.giveBack(bytes.length))
      .then(
        (parsed) => this.#obeyLate(parsed, bytes),
        () => this.close({ code: 1011, reason: 'A message could not be read.' }),
      );
  }

  #obeyLate(parsed: Result<SocketMessage, MessageFault>, bytes: Buffer): void {
    this.#isReading = false;
    if (this.#isClosing) return;
    this.#obey(parsed, bytes);
    for (let next = this.#unread.shift(); next !== undefined; next = this.#unread.shift()) {
      this.#read(next);
      if (this.#isReading) return;
    }
    this.#options.socket.resume();
  }

  #obey(parsed: Result<SocketMessage, MessageFault>, bytes: Buffer): void {
    const fault = parsed.ok ? this.#take(parsed.value, bytes) : parsed.error;
    if (fault !== undefined) this.#refuse(fault);
  }

  /** Why the message cannot be obeyed; undefined when it was. */
  #take(message: SocketMessage, bytes: Buffer): MessageFault | undefined {
    switch (message.type) {
      case 'chat.create':
        return this.#create(message.id, bytes.subarray(message.bodyStart, message.bodyEnd));
      case 'cancel':
        // One that has ended meanwhile needs none.
        this.#requests.get(message.id)?.end(new Ending('client_gone', 'The caller canceled the request.'));
        return undefined;
      case 'resume':
        return {
          code: 'resume_not_supported',
          message: 'Requests end with their WebSocket in this release: send it again with chat.create.',
          param: 'type',
          ref: message.id,
        };
    }
  }

  #create(id: string, body: Buffer): MessageFault | undefined {
    const { context, head, owner } = this.#options;
    const { bounds, clock } = context;
    if (this.#requests.has(id)) {
      return { code: 'duplicate_id', message: 'A request with this id is open.', param: 'id', ref: id };
    }
    if (this.#requests.size >= bounds.webSocketRequestsMax) {
      const message = `This WebSocket has ${bounds.webSocketRequestsMax} open requests, and may not have more.`;
      return { code: 'too_many_requests', message, param: null, ref: id };
    }
    const call = openCall({ head, route: 'chat-socket', openSink: (handle) => this.#openSink(id, handle) }, clock);
    call.record.tenant = owner.tenant;
    this.#requests.set(id, call);
    void serveCall(call, context, async () => {
      refuseWhileDraining(context);
      await serveInference(call, context, { route: 'chatSocket', bytes: limitWhole(call, body, context) });
    });
    return undefined;
  }

  #openSink(id: string, handle: Parameters<typeof createSocketSink>[1]): SocketSink {
    let sink: SocketSink | undefined;
    const lane = this.#sender.openLane({
      id,
      onOverflow: () => sink?.overflow(),
      onLast: () => this.#forget(id),
    });
    sink = createSocketSink(lane, handle);
    return sink;
  }

  /** The last event of a request is on its way: its id is free, and the socket may be, too. */
  #forget(id: string): void {
    this.#requests.delete(id);
    const goodbye = this.#goodbye;
    // Behind the event itself, which is only about to be sent.
    if (goodbye !== undefined && this.#requests.size === 0) queueMicrotask(() => this.close(goodbye));
  }

  #refuse({ code, message, param, ref }: MessageFault): void {
    this.#options.context.metrics.count('webSocketFaults', { code });
    const error = { message, type: 'invalid_request_error', param, code };
    if (!this.#sender.notify(JSON.stringify({ type: 'error', id: null, seq: null, ref, error }))) {
      this.close({ code: 1013, reason: 'Too much was left unread.' });
      return;
    }
    this.#nuisance();
  }
}

function left(): Ending {
  return new Ending('client_gone', 'The caller closed the WebSocket.');
}
