import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { loadServerIdentity } from '../../../../src/local/api/authority.ts';
import { objectId, time } from '../../../../src/local/api/der.ts';

const DAY_MS = 86_400_000;
const NOW_MS = Date.UTC(2026, 5, 1);
const HOSTS = ['127.0.0.1', 'localhost', '::1'];

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stoker-authority-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('the server certificate is for its hosts, under an authority that signs nothing else', () => {
  const { caPem, certificatePem } = loadServerIdentity(folder, HOSTS, NOW_MS);
  const [authority, server] = [new X509Certificate(caPem), new X509Certificate(certificatePem)];
  assert.equal(authority.ca, true);
  assert.equal(server.ca, false);
  assert.equal(server.checkIssued(authority), true);
  assert.equal(server.verify(authority.publicKey), true);
  assert.equal(server.checkIP('127.0.0.1'), '127.0.0.1');
  assert.equal(server.checkIP('::1'), '::1');
  assert.equal(server.checkHost('localhost'), 'localhost');
  assert.equal(server.checkHost('example.org'), undefined);
  assert.equal(server.keyUsage?.includes('1.3.6.1.5.5.7.3.1'), true);
  assert.ok(Date.parse(server.validTo) > NOW_MS + 300 * DAY_MS);
});

test('keys are for their owner alone', () => {
  loadServerIdentity(folder, HOSTS, NOW_MS);
  for (const name of ['authority.key', 'server.key']) assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600);
});

test('the same pair is used until it is about to end, is for other hosts, or is broken', () => {
  const first = loadServerIdentity(folder, HOSTS, NOW_MS);
  assert.deepEqual(loadServerIdentity(folder, HOSTS, NOW_MS + DAY_MS), first);
  const renewed = loadServerIdentity(folder, HOSTS, NOW_MS + 340 * DAY_MS);
  assert.equal(renewed.caPem, first.caPem);
  assert.notEqual(renewed.certificatePem, first.certificatePem);
  const elsewhere = loadServerIdentity(folder, [...HOSTS, '10.0.0.1'], NOW_MS + 340 * DAY_MS);
  assert.equal(new X509Certificate(elsewhere.certificatePem).checkIP('10.0.0.1'), '10.0.0.1');
  writeFileSync(join(folder, 'server.crt'), 'nothing');
  assert.equal(loadServerIdentity(folder, HOSTS, NOW_MS + 340 * DAY_MS).caPem, first.caPem);
  writeFileSync(join(folder, 'authority.key'), 'nothing');
  const replaced = loadServerIdentity(folder, HOSTS, NOW_MS + 340 * DAY_MS);
  assert.notEqual(replaced.caPem, first.caPem);
  assert.equal(
    new X509Certificate(replaced.certificatePem).verify(new X509Certificate(replaced.caPem).publicKey),
    true,
  );
});

test('DER: object ids with large arcs, and years on both sides of 2050', () => {
  assert.equal(objectId('1.2.840.10045.4.3.2').toString('hex'), '06082a8648ce3d040302');
  assert.equal(time(Date.UTC(2049, 11, 31)).toString('latin1'), '\x17\r491231000000Z');
  assert.equal(time(Date.UTC(2050, 0, 1)).toString('latin1'), '\x18\x0f20500101000000Z');
});
