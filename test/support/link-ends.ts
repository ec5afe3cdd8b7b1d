// Both ends of a link over a real socket, for tests of its sessions: a hub, spokes that remember what they hear, and sockets that
// speak for themselves.
import { once } from 'node:events';
import { request } from 'node:http';
import { afterEach } from 'node:test';
import { WebSocket } from 'ws';
import { type ManualClock, systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { createRng } from '../../src/lib/rng.ts';
import { createHub, type HubOptions } from '../../src/link/hub.ts';
import { createAgentSpoke } from '../../src/link/spoke.ts';
import type { Hub, HubHandlers } from '../../src/ports/link.ts';
import { agentHello } from './link-messages.ts';

/** What a test opened; closed after it, the last one first. */
export const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

export async function startHub(
  handlers: HubHandlers,
  options: Partial<HubOptions> = {},
): Promise<{ hub: Hub; port: number; url: string }> {
  const hub = createHub(
    { host: '127.0.0.1', port: 0, epoch: 1, clock: systemClock, log: silentLog, release: '0.1.0', ...options },
    handlers,
  );
  const { port } = await hub.start();
  ends.push(() => hub.stop());
  return { hub, port, url: `ws://127.0.0.1:${port}` };
}

export function recordingSpoke(
  url: () => string,
  options: { clock?: ManualClock; token?: () => Promise<string>; podUid?: string } = {},
) {
  const messages: unknown[] = [];
  const closed: string[] = [];
  const opens: number[] = [];
  const spoke = createAgentSpoke(
    {
      url,
      token: options.token ?? (async () => 'good'),
      hello: () => agentHello(options.podUid),
      clock: options.clock ?? systemClock,
      rng: createRng(1),
      log: silentLog,
    },
    {
      onOpen: () => opens.push(messages.length),
      onMessage: (message) => messages.push(message),
      onClose: (reason) => closed.push(reason),
    },
  );
  ends.push(() => spoke.stop());
  spoke.start();
  return { spoke, messages, closed, opens };
}

/** A WebSocket that speaks for itself, to misbehave with. */
export async function rawSession(
  url: string,
  token = 'good',
): Promise<{ socket: WebSocket; closed: Promise<[number, string]> }> {
  const socket = new WebSocket(`${url}/link`, {
    headers: { authorization: `Bearer ${token}` },
    perMessageDeflate: false,
  });
  ends.push(() => socket.terminate());
  const closed = new Promise<[number, string]>((resolve) =>
    socket.once('close', (code, reason) => resolve([code, reason.toString('utf8')])),
  );
  socket.on('error', () => {});
  await once(socket, 'open');
  return { socket, closed };
}

export function upgradeStatus(port: number, path: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const upgrade = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'MDEyMzQ1Njc4OWFiY2RlZg==',
    };
    const call = request({ host: '127.0.0.1', port, path, headers: { ...upgrade, ...headers } });
    call.once('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    call.once('upgrade', (_response, socket) => {
      socket.destroy();
      resolve(101);
    });
    call.once('error', reject);
    call.end();
  });
}
