// The cluster that a test file works on: the one that STOKER_CLUSTER_KUBECONFIG names (a kind cluster, or the control
// plane that `npm run test:cluster` started for all files), or else a control plane of its own. Gives namespaces and
// connections; whatever a test makes in its own namespace is removed with it.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { createKubeClient, type KubeClient } from '../../../src/kube/client.ts';
import { type Connection, loadConnection } from '../../../src/kube/connection.ts';
import { delay, systemClock } from '../../../src/lib/clock.ts';
import { type ControlPlane, type ControlPlaneOptions, startControlPlane } from './control-plane.ts';

export interface TestCluster {
  /** Of an administrator. */
  readonly kubeconfig: string;
  readonly connection: Connection;
  readonly client: KubeClient;
  /** A namespace that only the caller has, with its default ServiceAccount. */
  makeNamespace(prefix: string): Promise<string>;
  /** The same cluster, as whoever the token says. */
  as(token: string, namespace: string): Connection;
  /** Asks for every namespace that was made to be removed, and ends what was started. */
  close(): Promise<void>;
}

const READY_MS_MAX = 30_000;
const crdFolder = join(import.meta.dirname, '../../../charts/stoker-crds/definitions');

/** With our kinds installed. */
export async function openTestCluster(environment: NodeJS.ProcessEnv = process.env): Promise<TestCluster> {
  const { STOKER_CLUSTER_KUBECONFIG: given } = environment;
  if (given) return joinCluster(given, async () => {});
  const plane = await startTestPlane();
  try {
    return await joinCluster(plane.kubeconfig, () => plane.stop());
  } catch (error) {
    await plane.stop();
    throw error;
  }
}

/** A control plane that serves our kinds. */
export function startTestPlane(options: Omit<ControlPlaneOptions, 'prepare'> = {}): Promise<ControlPlane> {
  return startControlPlane({
    ...options,
    async prepare(kubeconfig) {
      const client = createKubeClient(await loadConnection({ kubeconfigPath: kubeconfig }));
      await installKinds(client);
      await client.close();
    },
  });
}

/** A cluster that is there already. `stop` is called last by close. */
export async function joinCluster(kubeconfig: string, stop: () => Promise<void>): Promise<TestCluster> {
  const connection = await loadConnection({ kubeconfigPath: kubeconfig });
  const client = createKubeClient(connection);
  await installKinds(client);
  const made: string[] = [];
  return {
    kubeconfig,
    connection,
    client,
    async makeNamespace(prefix) {
      const name = `${prefix}-${randomBytes(4).toString('hex')}`;
      const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
      await expect(client, 201, { method: 'POST', path: '/api/v1/namespaces', body });
      made.push(name);
      await present(client, `/api/v1/namespaces/${name}/serviceaccounts/default`);
      return name;
    },
    as: (token, namespace) => ({
      server: connection.server,
      tls: connection.tls.ca === undefined ? {} : { ca: connection.tls.ca },
      namespace,
      authorize: async () => ({ authorization: `Bearer ${token}` }),
    }),
    async close() {
      for (const name of made) await client.send({ method: 'DELETE', path: `/api/v1/namespaces/${name}` });
      await client.close();
      await stop();
    },
  };
}

/** The CRDs of the chart, as they are in its files. Waits until the server serves them. */
async function installKinds(client: KubeClient): Promise<void> {
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  for (const file of readdirSync(crdFolder)) {
    const definition = parse(readFileSync(join(crdFolder, file), 'utf8'));
    const { name } = definition.metadata;
    const { status, body } = await client.send({ method: 'POST', path, body: definition });
    if (status === 409) {
      await expect(client, 200, {
        method: 'PATCH',
        path: `${path}/${name}`,
        body: { spec: definition.spec },
        headers: { 'content-type': 'application/merge-patch+json' },
      });
    } else assert.equal(status, 201, `${name}: ${JSON.stringify(body)}`);
    await present(
      client,
      `/apis/${definition.spec.group}/${definition.spec.versions[0].name}/${definition.spec.names.plural}`,
    );
  }
}

/** Waits until the path answers. */
export async function present(client: KubeClient, path: string): Promise<void> {
  const endMs = performance.now() + READY_MS_MAX;
  for (;;) {
    const { status } = await client.send({ method: 'GET', path });
    if (status === 200) return;
    assert.ok(performance.now() < endMs, `${path} still answers ${status} after ${READY_MS_MAX} ms`);
    await delay(systemClock, 50);
  }
}

// biome-ignore lint/suspicious/noExplicitAny: answers are read by tests alone, which fail where a field is missing
export type Json = any;

/** Sends it, and the answer must have this code. Returns its body. */
export async function expect(client: KubeClient, code: number, call: Parameters<KubeClient['send']>[0]): Promise<Json> {
  const { status, body } = await client.send(call);
  assert.equal(status, code, `${call.method} ${call.path}: ${JSON.stringify(body)}`);
  return body;
}
