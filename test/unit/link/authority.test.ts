import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import {
  AUTHORITY_DAYS,
  CERTIFICATE_DAYS,
  issueCertificate,
  makeAuthority,
  readValidity,
} from '../../../src/link/authority.ts';

const nowMs = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;

test('it signs for names and addresses, for a month, and what it signs can sign nothing', async () => {
  const authority = await makeAuthority(nowMs);
  const issued = await issueCertificate(authority, ['stoker-link.llm.svc', '10.0.0.7'], nowMs);
  const [root, leaf] = [new X509Certificate(authority.cert), new X509Certificate(issued.cert)];
  assert.equal(leaf.verify(root.publicKey), true);
  assert.equal(leaf.checkIssued(root), true);
  assert.deepEqual([root.ca, leaf.ca], [true, false]);
  assert.equal(leaf.checkHost('stoker-link.llm.svc'), 'stoker-link.llm.svc');
  assert.equal(leaf.checkHost('elsewhere.llm.svc'), undefined);
  assert.equal(leaf.checkIP('10.0.0.7'), '10.0.0.7');
  assert.equal(readValidity(authority.cert)?.untilMs, nowMs + AUTHORITY_DAYS * DAY_MS);
  assert.equal(readValidity(issued.cert)?.untilMs, nowMs + CERTIFICATE_DAYS * DAY_MS);
  assert.notEqual(leaf.serialNumber, await serialOfAnother(authority));
});

async function serialOfAnother(authority: Parameters<typeof issueCertificate>[0]): Promise<string> {
  return new X509Certificate((await issueCertificate(authority, ['a'], nowMs)).cert).serialNumber;
}

test('no certificate outlives its authority', async () => {
  const authority = await makeAuthority(nowMs);
  const lateMs = nowMs + (AUTHORITY_DAYS - 1) * DAY_MS;
  const issued = await issueCertificate(authority, ['a'], lateMs);
  assert.equal(readValidity(issued.cert)?.untilMs, readValidity(authority.cert)?.untilMs);
});

test('what is no certificate has no validity', () => {
  assert.equal(readValidity(''), undefined);
  assert.equal(readValidity('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'), undefined);
});
