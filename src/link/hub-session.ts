// One session at the hub, from the upgraded socket to its end: hello in time, a version both speak, the owner's consent,
// welcome, then messages in order. An agent whose versions do not meet ours is heard and told nothing: it keeps serving what
// it has. Never knows other sessions: the hub does.
import type { WebSocket } from 'ws';
import { z } from 'zod';
import {
  type AgentHello,
  type AgentToHub,
  agentHelloSchema,
  agentToHubSchema,
  agreeOnVersion,
  LINK_VERSION_MAX,
  LINK_VERSION_MIN,
  type RouterHello,
  type RouterToHub,
  routerHelloSchema,
  routerToHubSchema,
} from '../api/link.ts';
import type { Clock } from '../lib/clock.ts';
import { publicId } from '../lib/ids.ts';
import type { Log } from '../lib/log.ts';
import type { TokenIdentity } from '../ports/cluster.ts';
import type { AgentSession, HubHandlers, HubSession, RouterSession } from '../ports/link.ts';
import { HANDSHAKE_MS_MAX } from './bounds.ts';
import { type Channel, createChannel } from './channel.ts';
import { createFrameParser, type Frame, issueSentence, parseObject } from './frames.ts';
import { watchToken } from './token-watch.ts';

type Hello = AgentHello | RouterHello;
type Message = Exclude<AgentToHub | RouterToHub, Hello>;

export interface SessionOptions {
  readonly socket: WebSocket;
  readonly identity: TokenIdentity;
  /** Has the token reviewed again. Rejects when nobody could say. */
  isTokenAccepted(): Promise<boolean>;
  readonly epoch: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly handlers: Pick<HubHandlers, 'admit' | 'onAgentMessage' | 'onRouterMessage'>;
  /** Welcome was sent: the session counts from now on. */
  onOpen(session: HubSession): void;
  /** Called once. `session` is set when onOpen came before. */
  onEnd(reason: string, session: HubSession | undefined): void;
}

const helloSchema = z.discriminatedUnion('role', [agentHelloSchema, routerHelloSchema]);
const parseFromAgent = createFrameParser(agentToHubSchema);
const parseFromRouter = createFrameParser(routerToHubSchema);

/** Takes over an upgraded socket. Returns its channel, for the hub's stop. */
export function openHubSession(options: SessionOptions): Channel {
  const { clock, log, handlers } = options;
  let session: HubSession | undefined;
  const patience = clock.after(HANDSHAKE_MS_MAX, () => channel.close(1008, `no hello within ${HANDSHAKE_MS_MAX} ms`), {
    background: true,
  });
  const channel = createChannel(options.socket, {
    clock,
    log,
    onFrame: (bytes, isBinary) =>
      session === undefined ? onHello(bytes, isBinary) : onFrame(session, bytes, isBinary),
    onEnd(reason) {
      patience.cancel();
      expiry?.cancel();
      options.onEnd(reason, session);
    },
  });

  const { expiresAtMs } = options.identity;
  const onRefused = () => channel.close(1008, 'the token has expired');
  const expiry =
    expiresAtMs === undefined
      ? undefined
      : watchToken({ clock, log, expiresAtMs, isAccepted: options.isTokenAccepted, onRefused });

  function onHello(bytes: Buffer, isBinary: boolean): void {
    const hello = parseHello(bytes, isBinary);
    const version = typeof hello === 'string' ? hello : negotiateVersion(hello);
    if (typeof hello === 'string' || typeof version === 'string') {
      channel.close(1008, String(version));
      return;
    }
    const mayTell = agreeOnVersion(hello.versions) !== undefined;
    const candidate = describeSession(hello, options.identity, {
      send: (message) => mayTell && session !== undefined && channel.send(message),
      close: (reason) => channel.close(1008, reason),
    });
    const refusal = guarded(() => handlers.admit(candidate));
    if (refusal !== undefined) channel.close(1008, refusal);
    if (!channel.isOpen()) return;
    patience.cancel();
    session = candidate;
    channel.send({ type: 'welcome', version, epoch: options.epoch, session: candidate.id });
    guarded(() => options.onOpen(candidate));
  }

  function onFrame(open: HubSession, bytes: Buffer, isBinary: boolean): void {
    const frame: Frame<AgentToHub | RouterToHub> = (open.role === 'agent' ? parseFromAgent : parseFromRouter)(
      bytes,
      isBinary,
    );
    if (frame.kind === 'bad') channel.close(1008, frame.reason);
    else if (frame.kind === 'unknown')
      log.debug({ session: open.id, type: frame.type }, 'ignored a link message of an unknown type');
    else if (frame.message.type === 'hello') channel.close(1008, 'hello came twice');
    else guarded(() => deliver(open, frame.message as Message));
  }

  /** The parser of the session's role let the message through, so its type fits the role. */
  function deliver(open: HubSession, message: Message): void {
    if (open.role === 'agent' && message.type === 'report') handlers.onAgentMessage(open, message);
    else if (open.role === 'router' && message.type !== 'report') handlers.onRouterMessage(open, message);
  }

  /** A handler that throws ends this session, not the hub. */
  function guarded<T>(call: () => T): T | undefined {
    try {
      return call();
    } catch (error) {
      log.error({ error: String(error), session: session?.id }, 'a link message could not be handled');
      channel.close(1011, 'a message could not be handled');
      return undefined;
    }
  }

  return channel;
}

function describeSession(
  hello: Hello,
  identity: TokenIdentity,
  ends: { send(message: object): boolean; close(reason: string): void },
): HubSession {
  const id = publicId('link-');
  if (hello.role === 'agent') return { ...ends, id, identity, role: 'agent', hello } satisfies AgentSession;
  return { ...ends, id, identity, role: 'router', hello } satisfies RouterSession;
}

/** The hello, or a sentence that says what is wrong with it. */
function parseHello(bytes: Buffer, isBinary: boolean): Hello | string {
  const object = parseObject(bytes, isBinary);
  if (typeof object === 'string') return object;
  if (object.type !== 'hello') return 'the first message must be hello';
  const parsed = helloSchema.safeParse(object);
  return parsed.success ? parsed.data : issueSentence('hello', parsed.error);
}

/**
 * What welcome says: the highest version that both speak; for an agent of another age the nearest that it speaks, because it
 * is only listened to, and messages only grow (DESIGN §14.1). A sentence for a router that cannot be told its table.
 */
export function negotiateVersion({ role, versions }: Pick<Hello, 'role' | 'versions'>): number | string {
  const { min, max } = versions;
  const version = agreeOnVersion(versions);
  if (version !== undefined) return version;
  if (role === 'agent' && min <= max) return max < LINK_VERSION_MIN ? max : min;
  return `version ${min} to ${max} is offered, but this hub speaks ${LINK_VERSION_MIN} to ${LINK_VERSION_MAX}: use releases that fit`;
}
