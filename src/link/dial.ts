// One session of a spoke, from the dial to its end: upgrade with the bearer token, hello, welcome, then messages.
// Drops what the fence refuses. Never redials: the spoke does.
import { WebSocket } from 'ws';
import {
  LINK_FRAME_BYTES_MAX,
  LINK_PATH,
  LINK_VERSION_MAX,
  LINK_VERSION_MIN,
  type Moved,
  type Welcome,
} from '../api/link.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { HANDSHAKE_MS_MAX } from './bounds.ts';
import { type Channel, createChannel } from './channel.ts';
import { connector } from './connection.ts';
import type { Fence, FencePair } from './fence.ts';
import type { FrameParser } from './frames.ts';

export type Inbound = { readonly type: string };
/** What a spoke's owner sees: everything but what is said about the session itself. */
export type Obeyed<In> = Exclude<In, Welcome | Moved>;

export interface DialOptions<In> {
  readonly url: string;
  readonly token: string;
  readonly hello: object;
  readonly ca?: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly fence: Fence;
  readonly parse: FrameParser<In>;
  /** Undefined: as long as any connection may take. */
  readonly connectMsMax?: number | undefined;
  onOpen(welcome: Welcome): void;
  onMessage(message: Obeyed<In>): void;
  /** The hub hands over and ends the session next. */
  onMoved(moved: Moved): void;
  /** Called once; `wasOpen` says whether onOpen came before. */
  onEnd(reason: string, wasOpen: boolean): void;
}

export interface Dialled {
  /** False before welcome, after the end, or when the message could not be taken. */
  send(message: object): boolean;
  /** Ends the session now; resolves once the socket is gone. Never rejects. */
  close(code: number, reason: string): Promise<void>;
}

/** Throws when the address or the token cannot be used at all. */
export function dial<In extends Inbound>(options: DialOptions<In>): Dialled {
  const { clock } = options;
  const socket = openSocket(options);
  let channel: Channel | undefined;
  let isOpen = false;
  let hasEnded = false;
  let patience = clock.after(HANDSHAKE_MS_MAX, () => give(`no answer from the hub within ${HANDSHAKE_MS_MAX} ms`));

  function end(reason: string): void {
    if (hasEnded) return;
    hasEnded = true;
    patience.cancel();
    options.onEnd(reason, isOpen);
  }

  function give(reason: string): void {
    socket.terminate();
    end(reason);
  }

  function onFrame(bytes: Buffer, isBinary: boolean): void {
    const frame = options.parse(bytes, isBinary);
    if (frame.kind === 'bad') channel?.close(1008, frame.reason);
    else if (frame.kind === 'unknown')
      options.log.debug({ type: frame.type }, 'ignored a link message of an unknown type');
    else if (isWelcome(frame.message)) onWelcome(frame.message);
    else if (isMoved(frame.message)) options.onMoved(frame.message);
    else onOrdered(frame.message as Obeyed<In> & In);
  }

  function onWelcome(welcome: Welcome): void {
    const refusal = isOpen ? 'welcome came twice' : refuseWelcome(welcome, options.fence.highest());
    if (refusal !== undefined) {
      channel?.close(1008, refusal);
      return;
    }
    patience.cancel();
    isOpen = true;
    options.onOpen(welcome);
  }

  function onOrdered(message: Obeyed<In>): void {
    if (!isOpen) channel?.close(1008, 'a message came before welcome');
    else if (isFenced(message) && !options.fence.admit(message)) {
      options.log.debug(
        { type: message.type, epoch: message.epoch, seq: message.seq },
        'dropped a link message that the fence refuses',
      );
    } else options.onMessage(message);
  }

  socket.on('error', (error) => {
    if (channel === undefined) give(dialSentence(error));
  });
  socket.once('open', () => {
    if (hasEnded) return;
    patience.cancel();
    patience = clock.after(HANDSHAKE_MS_MAX, () => give(`no welcome from the hub within ${HANDSHAKE_MS_MAX} ms`));
    channel = createChannel(socket, { clock, log: options.log, onFrame, onEnd: end });
    channel.send(options.hello);
  });
  return {
    send: (message) => isOpen && !hasEnded && channel?.send(message) === true,
    async close(code, reason) {
      if (channel === undefined) {
        give(reason);
        return;
      }
      channel.close(code, reason);
      await channel.closed;
    },
  };
}

function openSocket({
  url,
  token,
  ca,
  clock,
  connectMsMax,
}: Pick<DialOptions<Inbound>, 'url' | 'token' | 'ca' | 'clock' | 'connectMsMax'>): WebSocket {
  const address = new URL(LINK_PATH, url);
  return new WebSocket(address, {
    createConnection: connector(address.protocol === 'wss:', clock, connectMsMax),
    headers: { authorization: `Bearer ${token}` },
    maxPayload: LINK_FRAME_BYTES_MAX,
    perMessageDeflate: false,
    followRedirects: false,
    ...(ca === undefined ? {} : { ca }),
  });
}

function isWelcome(message: Inbound): message is Welcome {
  return message.type === 'welcome';
}

function isMoved(message: Inbound): message is Moved {
  return message.type === 'moved';
}

function isFenced(message: object): message is FencePair & { type: string } {
  return 'epoch' in message && 'seq' in message;
}

/** A sentence when the welcome is not one that this spoke can live with. */
function refuseWelcome(welcome: Welcome, highest: FencePair): string | undefined {
  if (welcome.version < LINK_VERSION_MIN || welcome.version > LINK_VERSION_MAX) {
    return `version ${welcome.version} is not spoken here, only ${LINK_VERSION_MIN} to ${LINK_VERSION_MAX}`;
  }
  if (welcome.epoch < highest.epoch) return `epoch ${welcome.epoch} is over: epoch ${highest.epoch} was seen`;
  return undefined;
}

function dialSentence(error: Error): string {
  const status = /^Unexpected server response: (\d{3})$/.exec(error.message)?.[1];
  if (status === '401') return 'the hub refused the token (HTTP 401)';
  return status === undefined ? error.message : `the hub refused the upgrade with HTTP ${status}`;
}
