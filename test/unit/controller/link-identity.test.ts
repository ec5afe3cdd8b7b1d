import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import { kinds } from '../../../src/api/kinds.ts';
import { LINK_CA_CONFIG_MAP, LINK_CA_KEY, LINK_SERVICE } from '../../../src/api/link.ts';
import { AUTHORITY_SECRET, createLinkIdentity } from '../../../src/controller/link-identity.ts';
import { createManualClock } from '../../../src/lib/clock.ts';
import { type LogFields, silentLog } from '../../../src/lib/log.ts';
import { createRng } from '../../../src/lib/rng.ts';
import { AUTHORITY_DAYS, type KeyPair, makeAuthority } from '../../../src/link/authority.ts';
import { createMemoryCluster, type MemoryCluster } from '../../support/memory-cluster.ts';
import { until } from '../../support/until.ts';

const DAY_MS = 86_400_000;
const startMs = Date.UTC(2026, 0, 1);
let cluster: MemoryCluster;
let ending: AbortController;
let clock: ReturnType<typeof createManualClock>;
let issued: KeyPair[];
let said: LogFields[];
let troubles: string[];

beforeEach(() => {
  clock = createManualClock(startMs);
  cluster = createMemoryCluster(() => clock.wallMs());
  ending = new AbortController();
  issued = [];
  said = [];
  troubles = [];
});
afterEach(() => ending.abort(new Error('over')));

function identityOf(ip = '10.0.0.7') {
  return createLinkIdentity({
    cluster,
    names: ['stoker-link.llm.svc'],
    pod: { name: 'stoker-controller-0', ip },
    onCertificate: (tls) => issued.push(tls),
    onTrouble: (sentence) => void troubles.push(sentence),
    clock,
    rng: createRng(1),
    log: { ...silentLog, warn: (fields: LogFields) => void said.push(fields) },
  });
}

const trusted = () => cluster.get(kinds.ConfigMap, LINK_CA_CONFIG_MAP)?.data?.[LINK_CA_KEY] ?? '';
const slice = () => cluster.get(kinds.EndpointSlice, LINK_SERVICE);
const settled = () => until(() => clock.pendingTimers() > 0, 'the next look');
const isTrusted = (tls: KeyPair) => isSignedBy(trusted(), tls);
const isSignedBy = (authorities: string, tls: KeyPair) =>
  authorities
    .split(/(?<=-----END CERTIFICATE-----\n)/)
    .some((pem) => new X509Certificate(tls.cert).verify(new X509Certificate(pem).publicKey));

test('the first leader makes an authority that spokes can read; the next one takes it over', async () => {
  const service = cluster.put(kinds.Service, LINK_SERVICE, {});
  const tls = await identityOf().prepare(ending.signal);
  assert.ok(isTrusted(tls));
  const secret = cluster.must(kinds.Secret, AUTHORITY_SECRET);
  assert.deepEqual(Object.keys(secret.data ?? {}).sort(), ['ca.crt', 'ca.key']);
  assert.equal(trusted().includes('PRIVATE'), false);
  for (const object of [secret, cluster.must(kinds.ConfigMap, LINK_CA_CONFIG_MAP)])
    assert.equal(object.metadata.ownerReferences?.[0]?.uid, service.metadata.uid);
  const before = trusted();
  const next = await identityOf('10.0.0.8').prepare(ending.signal);
  assert.equal(trusted(), before);
  assert.ok(isTrusted(next));
  assert.notEqual(next.key, tls.key);
});

test('without the Service it says so once, and goes on when it is there', async () => {
  const preparing = identityOf().prepare(ending.signal);
  for (let tries = 0; tries < 5; tries += 1) {
    await settled();
    clock.fireNext();
  }
  assert.equal(said.length, 1);
  assert.match(String(said[0]?.error), /the Service stoker-link is needed/);
  assert.match(troubles.at(-1) ?? '', /^The link has no certificate: the Service stoker-link is needed/);
  await settled();
  cluster.put(kinds.Service, LINK_SERVICE, {});
  clock.fireNext();
  assert.ok(isTrusted(await preparing));
});

test('the address of the leader is behind the Service, and is put right when somebody changes it', async () => {
  cluster.put(kinds.Service, LINK_SERVICE, {});
  const identity = identityOf();
  await identity.prepare(ending.signal);
  identity.announce(8083, ending.signal);
  await until(() => slice() !== undefined, 'the slice');
  assert.deepEqual(slice()?.endpoints[0]?.addresses, ['10.0.0.7']);
  assert.equal(slice()?.ports[0]?.port, 8083);
  assert.equal(slice()?.metadata.labels?.['kubernetes.io/service-name'], LINK_SERVICE);
  cluster.change(kinds.EndpointSlice, LINK_SERVICE, { endpoints: [{ addresses: ['10.9.9.9'] }] });
  await settled();
  clock.advance(30_000);
  await until(() => slice()?.endpoints[0]?.addresses[0] === '10.0.0.7', 'the address');
  cluster.drop(kinds.EndpointSlice, LINK_SERVICE);
  await settled();
  clock.advance(30_000);
  await until(() => slice() !== undefined, 'the slice');
});

test('a leader of the other address family replaces the slice', async () => {
  cluster.put(kinds.Service, LINK_SERVICE, {});
  const first = new AbortController();
  const one = identityOf();
  await one.prepare(first.signal);
  one.announce(8083, first.signal);
  await until(() => slice()?.addressType === 'IPv4', 'the first slice');
  first.abort(new Error('over'));
  const other = identityOf('fd00::7');
  await other.prepare(ending.signal);
  other.announce(8083, ending.signal);
  await until(() => slice()?.addressType === 'IPv6', 'the other slice');
});

test('the certificate is renewed in time, and an authority that ages hands over to one that spokes trust by then', async () => {
  cluster.put(kinds.Service, LINK_SERVICE, {});
  const identity = identityOf();
  let tls = await identity.prepare(ending.signal);
  identity.announce(8083, ending.signal);
  const first = trusted();
  for (let day = 0; day < AUTHORITY_DAYS * 0.9; day += 5) {
    await settled();
    const known = trusted();
    clock.advance(5 * DAY_MS);
    await settled();
    tls = issued.at(-1) ?? tls;
    assert.ok(isSignedBy(known, tls), `on day ${day} the hub shows what spokes could not know yet`);
    assert.ok(isSignedBy(trusted(), tls));
    assert.ok(new X509Certificate(tls.cert).validToDate.getTime() > clock.wallMs());
  }
  assert.ok(issued.length > 40);
  assert.equal(trusted().includes(first), false);
});

const encoded = (text: string) => Buffer.from(text).toString('base64');
const damages = [
  ['no key', async () => encoded('garbage')],
  ['the key of another authority', async () => encoded((await makeAuthority(startMs)).key)],
] as const;

for (const [what, damagedKey] of damages) {
  test(`an authority with ${what} is said to be damaged, and made anew once its Secret is deleted`, async () => {
    cluster.put(kinds.Service, LINK_SERVICE, {});
    await identityOf().prepare(ending.signal);
    cluster.change(kinds.Secret, AUTHORITY_SECRET, { data: { 'ca.key': await damagedKey() } });
    const before = trusted();
    const preparing = identityOf().prepare(ending.signal);
    for (let tries = 0; tries < 3; tries += 1) {
      await settled();
      clock.fireNext();
    }
    assert.equal(said.length, 1);
    assert.match(String(said[0]?.error), /\(ca\.key\) is not that of its certificate .* delete the Secret/);
    assert.equal(trusted(), before, 'nothing is replaced unasked');
    await settled();
    cluster.drop(kinds.Secret, AUTHORITY_SECRET);
    clock.fireNext();
    assert.ok(isTrusted(await preparing));
    assert.notEqual(trusted(), before);
  });

  test(`a leader whose authority comes to have ${what} goes on announcing, and signs again once it is put right`, async () => {
    cluster.put(kinds.Service, LINK_SERVICE, {});
    const identity = identityOf();
    await identity.prepare(ending.signal);
    const key = cluster.must(kinds.Secret, AUTHORITY_SECRET).data?.['ca.key'];
    identity.announce(8083, ending.signal);
    await until(() => slice() !== undefined, 'the slice');
    await settled();
    cluster.change(kinds.Secret, AUTHORITY_SECRET, { data: { 'ca.key': await damagedKey() } });
    clock.advance(25 * DAY_MS);
    await until(() => said.length === 1, 'it to say so');
    cluster.change(kinds.EndpointSlice, LINK_SERVICE, { endpoints: [{ addresses: ['10.9.9.9'] }] });
    await settled();
    clock.advance(60_000);
    await until(() => slice()?.endpoints[0]?.addresses[0] === '10.0.0.7', 'the address');
    assert.equal(issued.length, 0);
    cluster.change(kinds.Secret, AUTHORITY_SECRET, { data: { 'ca.key': key } });
    await settled();
    clock.advance(60_000);
    await until(() => issued.length === 1, 'the next certificate');
    assert.ok(issued.every(isTrusted));
  });
}

test('a certificate of a clock that was weeks ahead is issued again when the clock is put right', async () => {
  cluster.put(kinds.Service, LINK_SERVICE, {});
  const identity = identityOf();
  const { wallMs } = clock;
  Object.assign(clock, { wallMs: () => wallMs() + 300 * DAY_MS });
  await identity.prepare(ending.signal);
  identity.announce(8083, ending.signal);
  await settled();
  Object.assign(clock, { wallMs });
  clock.fireNext();
  await until(() => issued.length > 0, 'another certificate');
  assert.ok(new X509Certificate(issued.at(-1)?.cert ?? '').validFromDate.getTime() <= clock.wallMs());
});
