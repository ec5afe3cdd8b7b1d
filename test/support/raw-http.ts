// Bytes to a port and back, for requests that no client would send. For tests.
import { connect, type Socket } from 'node:net';

/** Sends the bytes and resolves with everything that came until the other side closed the connection. */
export function exchange(port: number, bytes: string | Buffer): Promise<string> {
  const { socket, answer } = openRaw(port);
  socket.write(bytes);
  return answer;
}

export function openRaw(port: number): { readonly socket: Socket; readonly answer: Promise<string> } {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (bytes) => chunks.push(bytes));
  socket.on('error', () => {});
  const answer = new Promise<string>((resolve) => {
    socket.once('close', () => resolve(Buffer.concat(chunks).toString('utf8')));
  });
  return { socket, answer };
}
