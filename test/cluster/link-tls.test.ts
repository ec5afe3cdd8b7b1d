// The link beyond loopback on a real API server: the leader makes its authority, writes where it is behind the Service, and
// spokes over TLS follow it to the next leader. There is no kube-proxy here, so the test reads the EndpointSlice and points
// the address of the Service there. Everything still listens on loopback: ::ffff:127.0.0.1 is another way to write it.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect } from 'node:tls';
import { type FakeSlots, startFakeSlots } from '../support/cluster/fake-slots.ts';
import { type Lab, startLab } from '../support/cluster/lab.ts';
import { type LinkFront, startLinkFront } from '../support/cluster/link-front.ts';
import { simulatedPool } from '../support/cluster/questions.ts';
import { type StokerProcess, startStokerProcess } from '../support/cluster/stoker-process.ts';
import { expect, type Json, openTestCluster } from '../support/cluster/test-cluster.ts';

const POD_IPS = { one: '10.9.0.1', two: '10.9.0.2', three: '10.9.0.3' } as const;
const SLOTS = 20;
const CLEAN_MS_MAX = 3000;
const HARD_MS_MAX = 25_000;
const OPEN = 'a link session is open';

describe('the link beyond loopback', { timeout: 180_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'stoker-link-'));
  let lab: Lab;
  let service: LinkFront;
  let leader: StokerProcess;
  let standby: StokerProcess;
  let router: StokerProcess | undefined;
  let slots: FakeSlots | undefined;

  const startController = (name: keyof typeof POD_IPS) =>
    lab.startController(name, [
      ...['--link-host', '::ffff:127.0.0.1', '--link-url', service.url.replace('ws:', 'wss:')],
      ...['--pod-name', name, '--pod-ip', POD_IPS[name]],
    ]);
  const sliceOf = async (): Promise<Json | undefined> => {
    const path = `/apis/discovery.k8s.io/v1/namespaces/${lab.namespace}/endpointslices/stoker-link`;
    const answer = await lab.cluster.client.send({ method: 'GET', path });
    return answer.status === 200 ? (answer.body as Json) : undefined;
  };
  /** What kube-proxy does, once the slice names this address. */
  const resolve = async (ip: string) => {
    await lab.until(async () => (await sliceOf())?.endpoints[0]?.addresses[0] === ip, `the slice to name ${ip}`);
    const slice = await sliceOf();
    service.pointAt(slice?.ports[0].port);
    return slice;
  };

  before(async () => {
    lab = await startLab(await openTestCluster(), { node: false });
    service = await startLinkFront();
    await lab.create('services', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'stoker-link' },
      spec: { ports: [{ name: 'link', port: 8083 }] },
    });
    leader = startController('one');
    await leader.ready;
    standby = startController('two');
    await standby.said('one leads');
  });
  after(async () => {
    await router?.stop();
    await slots?.stop();
    await lab.stop();
    await service.close();
    await lab.cluster.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('the leader says where it is, as the cluster wants it said', async () => {
    const slice = await resolve(POD_IPS.one);
    assert.equal(slice?.metadata.labels['kubernetes.io/service-name'], 'stoker-link');
    assert.equal(slice?.metadata.labels['endpointslice.kubernetes.io/managed-by'], 'stoker');
    for (const object of [
      slice,
      await lab.get('secrets', 'stoker-link-tls'),
      await lab.get('configmaps', 'stoker-link-ca'),
    ]) {
      assert.equal(object?.metadata.ownerReferences[0].kind, 'Service');
    }
    assert.doesNotMatch(leader.log(), /PRIVATE KEY/);
  });

  test('its certificate is of that authority, for the name of the Service', async () => {
    const ca: string = (await lab.get('configmaps', 'stoker-link-ca')).data['ca.crt'];
    const servername = `stoker-link.${lab.namespace}.svc`;
    const { hostname, port } = new URL(service.url);
    const socket = connect({ host: hostname, port: Number(port), ca, servername });
    await new Promise<void>((done, fail) => {
      socket.once('secureConnect', done);
      socket.once('error', fail);
    });
    assert.equal(socket.authorized, true);
    assert.equal(socket.getProtocol(), 'TLSv1.3');
    socket.destroy();
  });

  test('a router over TLS follows the Service to the next leader', async () => {
    const [tokenFile, caFile] = [join(folder, 'token'), join(folder, 'ca.crt')];
    writeFileSync(tokenFile, await lab.token('stoker-router'), { mode: 0o600 });
    writeFileSync(caFile, (await lab.get('configmaps', 'stoker-link-ca')).data['ca.crt']);
    const url = service.url.replace('ws:', 'wss:');
    const files = ['--link-url', url, '--link-token-file', tokenFile, '--link-ca-file', caFile];
    router = startStokerProcess(['router', '--port', '0', '--admin-port', '0', ...files]);
    await leader.said(OPEN);
    assert.doesNotMatch(standby.log(), new RegExp(OPEN));
    leader.signal('SIGTERM');
    await leader.gone;
    await resolve(POD_IPS.two);
    await standby.said(OPEN);
  });

  /** From `act` until every slot has a target of the next leader, whose address is `ip`. */
  const measureHandOver = async (ip: string, act: () => void) => {
    const epoch = ((await lab.get('leases', 'stoker-controller')).spec.leaseTransitions as number) + 1;
    const startMs = performance.now();
    act();
    await resolve(ip);
    await lab.until(async () => slots?.commandedBy(epoch) === SLOTS, `epoch ${epoch} to command every slot`);
    return performance.now() - startMs;
  };

  test('slots over TLS are commanded by the next leader within 3 s of a clean end', async (t) => {
    const place = {
      url: service.url.replace('ws:', 'wss:'),
      ca: async () => (await lab.get('configmaps', 'stoker-link-ca')).data['ca.crt'] as string,
    };
    slots = await startFakeSlots(lab, place);
    await lab.create('pools', simulatedPool('sim', { min: SLOTS, max: SLOTS }));
    await lab.until(async () => slots?.connected() === SLOTS, 'every slot to be connected');
    leader = startController('three');
    await leader.said('two leads');
    const tookMs = await measureHandOver(POD_IPS.three, () => standby.signal('SIGTERM'));
    t.diagnostic(`${SLOTS} slots: ${Math.round(tookMs)} ms`);
    assert.ok(tookMs <= CLEAN_MS_MAX, `${Math.round(tookMs)} ms`);
  });

  test('and within 25 s when it was killed', async (t) => {
    standby = startController('one');
    await standby.said('three leads');
    const tookMs = await measureHandOver(POD_IPS.one, () => leader.signal('SIGKILL'));
    t.diagnostic(`${SLOTS} slots: ${Math.round(tookMs)} ms`);
    assert.ok(tookMs <= HARD_MS_MAX, `${Math.round(tookMs)} ms`);
  });

  test('what somebody takes away comes back', async () => {
    const path = `/apis/discovery.k8s.io/v1/namespaces/${lab.namespace}/endpointslices/stoker-link`;
    await expect(lab.cluster.client, 200, { method: 'DELETE', path });
    await lab.until(async () => (await sliceOf()) !== undefined, 'the slice to be there again', 40_000);
  });
});
