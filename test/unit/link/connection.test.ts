import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, Socket } from 'node:net';
import { describe, it } from 'node:test';
import { createManualClock } from '../../../src/lib/clock.ts';
import { CONNECT_MS_MAX } from '../../../src/link/bounds.ts';
import { limitConnect } from '../../../src/link/connection.ts';

describe('the connection of a dial', () => {
  it('is given up when nobody answers', async () => {
    const clock = createManualClock();
    const socket = limitConnect(new Socket(), clock);
    const failed = once(socket, 'error');
    clock.advance(CONNECT_MS_MAX);
    const [error] = (await failed) as [Error];
    assert.match(error.message, /nobody answers at the address of the hub within 2000 ms/);
    assert.ok(socket.destroyed);
  });

  it('stays for as long as it likes once it stands', async () => {
    const clock = createManualClock();
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    const socket = limitConnect(connect(address.port, '127.0.0.1'), clock);
    await once(socket, 'connect');
    clock.advance(CONNECT_MS_MAX * 10);
    assert.equal(socket.destroyed, false);
    socket.destroy();
    server.close();
  });
});
