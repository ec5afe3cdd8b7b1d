// The TCP connection of a dial. It has to stand soon: after a hand-over the Service may still lead to the address of a Pod
// that is gone, where nobody answers and nobody refuses. Speaks no protocol and never redials.
import { connect, type createConnection, isIP, type Socket, type TcpNetConnectOpts } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import type { Clock } from '../lib/clock.ts';
import { CONNECT_MS_MAX } from './bounds.ts';

type ConnectOptions = TcpNetConnectOpts & ConnectionOptions;

/** What the WebSocket client connects with. It hands in the options of its request, and never a port or a path alone. */
export function connector(isSecure: boolean, clock: Clock, msMax: number = CONNECT_MS_MAX): typeof createConnection {
  const open = (options: ConnectOptions) => limitConnect(openConnection(options, isSecure), clock, msMax);
  return open as typeof createConnection;
}

function openConnection(options: ConnectOptions, isSecure: boolean): Socket {
  const { host = '', servername = isIP(host) === 0 ? host : '' } = options;
  // In a request it is the path of the URL, for a socket that of a pipe.
  const plain = { ...options, path: undefined };
  return isSecure ? connectTls({ ...plain, servername }) : connect(plain);
}

/** Destroys the socket with a sentence unless it is connected in time. */
export function limitConnect(socket: Socket, clock: Clock, msMax: number = CONNECT_MS_MAX): Socket {
  const timer = clock.after(msMax, () =>
    socket.destroy(new Error(`nobody answers at the address of the hub within ${msMax} ms`)),
  );
  socket.once('connect', () => timer.cancel());
  socket.once('close', () => timer.cancel());
  return socket;
}
