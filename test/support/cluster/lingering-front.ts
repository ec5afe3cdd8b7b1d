// The Service of the link as it is at its worst: a session that its spoke has left stays open towards the old hub, and what
// that hub still says arrives in the spoke's session with the next one. So it is the spokes that have to tell them apart.
import { createServer, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';

export interface LingeringFront {
  readonly url: string;
  /** Later sessions go there. */
  pointAt(port: number): void;
  /** Ends every session towards its spoke, and none towards its hub. */
  moveSpokes(): void;
  /** Messages of hubs that were left, which were put into later sessions. */
  straysDelivered(): number;
  close(): Promise<void>;
}

export async function startLingeringFront(): Promise<LingeringFront> {
  const upgrader = new WebSocketServer({ noServer: true, clientTracking: false, perMessageDeflate: false });
  const sockets = new Set<WebSocket>();
  /** By the name that it says in hello. */
  const current = new Map<string, WebSocket>();
  let port = 0;
  let strays = 0;

  function keep(socket: WebSocket): WebSocket {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.terminate());
    return socket;
  }

  function join(near: WebSocket, far: WebSocket): void {
    let name = '';
    near.on('message', (bytes) => {
      const message = JSON.parse(bytes.toString());
      if (message.type === 'hello') {
        name = message.name;
        current.set(name, near);
      }
      far.send(bytes.toString());
    });
    far.on('message', (bytes) => {
      const isStray = near.readyState !== near.OPEN;
      const to = isStray ? current.get(name) : near;
      if (to?.readyState !== WebSocket.OPEN) return;
      if (isStray) strays += 1;
      to.send(bytes.toString());
    });
    far.on('close', () => near.close(1001));
  }

  const server = createServer();
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const { authorization = '' } = request.headers;
    const far = keep(new WebSocket(`ws://127.0.0.1:${port}/link`, { headers: { authorization } }));
    far.once('open', () => upgrader.handleUpgrade(request, socket, head, (near) => join(keep(near), far)));
    far.once('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('the front has no port');
  return {
    url: `ws://127.0.0.1:${address.port}`,
    pointAt(next) {
      port = next;
    },
    moveSpokes() {
      for (const near of current.values()) near.terminate();
    },
    straysDelivered: () => strays,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.terminate();
      server.closeAllConnections();
      await closed;
    },
  };
}
