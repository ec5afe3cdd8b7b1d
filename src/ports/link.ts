// The two ends of the link, as the parts see them. Implemented over ws in src/link.
import type { AgentHello, AgentToHub, HubToAgent, HubToRouter, RouterHello, RouterToHub } from '../api/link.ts';
import type { TokenIdentity } from './cluster.ts';

/** A spoke's end: dials, redials with full jitter, says hello, drops fenced-off messages. */
export interface Spoke<Out> {
  start(): void;
  /** Closes the session with 1000 and stops redialling. */
  stop(): Promise<void>;
  /** False when there is no session or its buffer is full; the message is then dropped (state is sent again after hello). */
  send(message: Out): boolean;
  isConnected(): boolean;
}

export interface SpokeHandlers<In> {
  /** A session is up and `welcome` came: send your whole state now. */
  onOpen(): void;
  /** A message that passed schema and fence, in order. */
  onMessage(message: In): void;
  onClose(reason: string): void;
}

export type AgentSpoke = Spoke<AgentToHub>;
export type AgentSpokeHandlers = SpokeHandlers<Exclude<HubToAgent, { type: 'welcome' | 'moved' }>>;
export type RouterSpoke = Spoke<RouterToHub>;
export type RouterSpokeHandlers = SpokeHandlers<Exclude<HubToRouter, { type: 'welcome' | 'moved' }>>;

interface SessionBase<Out> {
  readonly id: string;
  readonly identity: TokenIdentity;
  /** False when the session is closed or its buffer is full (the hub then closes it). */
  send(message: Out): boolean;
  close(reason: string): void;
}

export interface AgentSession extends SessionBase<HubToAgent> {
  readonly role: 'agent';
  readonly hello: AgentHello;
}

export interface RouterSession extends SessionBase<HubToRouter> {
  readonly role: 'router';
  readonly hello: RouterHello;
}

export type HubSession = AgentSession | RouterSession;

export interface HubHandlers {
  /** Who may open a session: undefined refuses with 401. Called with the bearer token before the upgrade is accepted. */
  authenticate(token: string): Promise<TokenIdentity | undefined>;
  /** Checked after hello: a sentence refuses the session (an agent's podUid must be its token's, a router must be a router). */
  admit(session: HubSession): string | undefined;
  onOpen(session: HubSession): void;
  onAgentMessage(session: AgentSession, message: Exclude<AgentToHub, AgentHello>): void;
  onRouterMessage(session: RouterSession, message: Exclude<RouterToHub, RouterHello>): void;
  onClose(session: HubSession, reason: string): void;
}

export interface Hub {
  /** Listens; resolves with the port. */
  start(): Promise<{ readonly port: number }>;
  /** Tells spokes that another hub is about to take its place, closes every session with 1001, and the listener. */
  stop(): Promise<void>;
  sessions(): readonly HubSession[];
}
