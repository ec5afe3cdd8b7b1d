// Valid messages and handlers for tests of the link.
import type { AgentHello, AgentReport, Launch, RouterHello, Table, Target } from '../../src/api/link.ts';
import type { TokenIdentity } from '../../src/ports/cluster.ts';
import type { AgentSession, HubHandlers, HubSession, RouterSession } from '../../src/ports/link.ts';

export function agentHello(podUid = 'pod-1'): AgentHello {
  return {
    type: 'hello',
    role: 'agent',
    name: `slot-${podUid}`,
    release: '0.1.0',
    versions: { min: 1, max: 1 },
    fence: { epoch: 0, seq: 0 },
    podUid,
    dataPort: 8000,
  };
}

export function routerHello(name = 'router-1'): RouterHello {
  return {
    type: 'hello',
    role: 'router',
    name,
    release: '0.1.0',
    versions: { min: 1, max: 1 },
    fence: { epoch: 0, seq: 0 },
    history: [],
  };
}

export function report(seq = 0): AgentReport {
  return { type: 'report', fence: { epoch: 1, seq }, keyVersions: [1], terminating: false, instances: [] };
}

export const launch: Launch = {
  engine: 'Llama',
  servedName: 'small',
  revision: 'small-0123456789',
  weightsPath: 'models/small.gguf',
  weightsSizeBytes: 1,
  weightsSha256: 'a'.repeat(64),
  contextLength: 512,
  concurrency: 1,
  sleep: 'Level2',
  drainMs: 1000,
};

export function target(epoch: number, seq: number): Target {
  return { type: 'target', epoch, seq, instances: [], keys: [] };
}

export function table(epoch: number, seq: number): Table {
  return { type: 'table', epoch, seq };
}

/** A table of about `bytes` bytes. */
export function bigTable(epoch: number, seq: number, bytes: number): Table {
  const slot = { podUid: 'p'.repeat(200), version: 1, key: 'b'.repeat(64) };
  const slots = Array.from({ length: Math.min(5000, Math.floor(bytes / 310)) }, () => slot);
  return { type: 'table', epoch, seq, keys: { version: 1, hash: 'h', data: { slots } } };
}

export interface RecordedHandlers extends HubHandlers {
  readonly opened: HubSession[];
  readonly closed: { readonly session: HubSession; readonly reason: string }[];
  readonly fromAgents: unknown[];
  readonly fromRouters: unknown[];
  readonly tokens: string[];
}

/** Accepts every token but `refused`; remembers everything. */
export function recordingHandlers(overrides: Partial<HubHandlers> = {}): RecordedHandlers {
  const opened: HubSession[] = [];
  const closed: { session: HubSession; reason: string }[] = [];
  const fromAgents: unknown[] = [];
  const fromRouters: unknown[] = [];
  const tokens: string[] = [];
  return {
    opened,
    closed,
    fromAgents,
    fromRouters,
    tokens,
    async authenticate(token: string): Promise<TokenIdentity | undefined> {
      tokens.push(token);
      return token === 'refused' ? undefined : { username: `user-${token}` };
    },
    admit: () => undefined,
    onOpen: (session) => opened.push(session),
    onAgentMessage: (_session: AgentSession, message) => fromAgents.push(message),
    onRouterMessage: (_session: RouterSession, message) => fromRouters.push(message),
    onClose: (session, reason) => closed.push({ session, reason }),
    ...overrides,
  };
}
