// The link over TLS: whom a spoke trusts, and what it meets after a certificate was renewed.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { afterEach, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { systemClock } from '../../src/lib/clock.ts';
import { type LogFields, silentLog } from '../../src/lib/log.ts';
import { createRng } from '../../src/lib/rng.ts';
import { issueCertificate, makeAuthority } from '../../src/link/authority.ts';
import { createHub } from '../../src/link/hub.ts';
import { createAgentSpoke } from '../../src/link/spoke.ts';
import { agentHello, recordingHandlers } from '../support/link-messages.ts';
import { until } from '../support/until.ts';

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

test('over TLS: a spoke trusts our authority alone, reads it again at every dial, and meets a renewed certificate', async () => {
  const nowMs = systemClock.wallMs();
  const [authority, stranger] = [await makeAuthority(nowMs), await makeAuthority(nowMs)];
  const tls = await issueCertificate(authority, ['127.0.0.1'], nowMs);
  const handlers = recordingHandlers();
  const hub = createHub(
    { host: '127.0.0.1', port: 0, epoch: 1, clock: systemClock, log: silentLog, release: '0.1.0', tls },
    handlers,
  );
  const { port } = await hub.start();
  ends.push(() => hub.stop());
  let trusted = stranger.cert;
  const reasons: string[] = [];
  const spoke = createAgentSpoke(
    {
      url: () => `wss://127.0.0.1:${port}`,
      token: async () => 'good',
      ca: async () => trusted,
      hello: () => agentHello(),
      clock: systemClock,
      rng: createRng(1),
      log: { ...silentLog, warn: ({ reason }: LogFields) => void reasons.push(String(reason)) },
    },
    { onOpen: () => {}, onMessage: () => {}, onClose: () => {} },
  );
  ends.push(() => spoke.stop());
  spoke.start();
  await until(() => reasons.length > 0, 'the spoke to refuse a stranger');
  assert.match(reasons[0] ?? '', /certificate/);
  assert.equal(hub.sessions().length, 0);
  trusted = stranger.cert + authority.cert;
  await until(() => spoke.isConnected(), 'the spoke to trust the authority');
  const renewed = await issueCertificate(authority, ['127.0.0.1'], nowMs);
  hub.useCertificate(renewed);
  const [before] = hub.sessions();
  before?.close('to be dialled again');
  const isBack = () => hub.sessions().some(({ id }) => id !== before?.id) && spoke.isConnected();
  await until(isBack, 'a session with the renewed certificate');
  assert.equal(await serialAt(port, authority.cert), new X509Certificate(renewed.cert).serialNumber);
});

function serialAt(port: number, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: '127.0.0.1', ca }, () => {
      resolve(socket.getPeerX509Certificate()?.serialNumber ?? '');
      socket.destroy();
    }).once('error', reject);
  });
}
