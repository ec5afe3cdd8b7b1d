// Stands in for the Service stoker-link: one address for routers and agents, behind which the leader changes. Like a
// Service, it leaves open connections alone when it is pointed elsewhere.
import { connect, createServer, type Socket } from 'node:net';

export interface LinkFront {
  readonly url: string;
  /** New connections go there. Undefined refuses them. */
  pointAt(port: number | undefined): void;
  close(): Promise<void>;
}

export async function startLinkFront(): Promise<LinkFront> {
  let target: number | undefined;
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  };
  const server = createServer((near) => {
    keep(near);
    if (target === undefined) {
      near.destroy();
      return;
    }
    const far = connect(target, '127.0.0.1');
    keep(far);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
      one.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('the link front has no port');
  return {
    url: `ws://127.0.0.1:${address.port}`,
    pointAt(port) {
      target = port;
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
