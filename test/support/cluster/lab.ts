// The whole product on a real API server: controllers and a router as processes with the identities of the chart, slots as
// processes of the lab's node, and one address for the link. Everything in one namespace and one folder, all of it ended
// by stop.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { delay, systemClock } from '../../../src/lib/clock.ts';
import { renderKubeconfig } from '../../../src/main/kubeconfig.ts';
import { startLabNode } from './lab-node.ts';
import { type LinkFront, startLinkFront } from './link-front.ts';
import { renderIdentities } from './rbac.ts';
import { type StokerProcess, startStokerProcess } from './stoker-process.ts';
import { expect, type Json, type TestCluster } from './test-cluster.ts';

export interface Lab {
  readonly cluster: TestCluster;
  readonly namespace: string;
  readonly front: LinkFront;
  /** Points the link at itself once it leads. */
  startController(name: string, args?: readonly string[], entryPoint?: string): StokerProcess;
  /** Resolves with the address of the OpenAI API once a routing table is there. */
  startRouter(): Promise<string>;
  /** A token of a ServiceAccount, bound to a Pod where one is named. */
  token(account: string, options?: { audience?: string; pod?: { name: string; uid: string } }): Promise<string>;
  create(plural: string, object: object): Promise<Json>;
  get(plural: string, name: string): Promise<Json>;
  list(plural: string): Promise<Json[]>;
  patch(plural: string, name: string, patch: object): Promise<Json>;
  /** Looks until the condition holds. */
  until(condition: () => Promise<boolean>, what: string, msMax?: number): Promise<void>;
  stop(): Promise<void>;
}

const LINK_AUDIENCE = 'stoker-link';
const TOKEN_SECONDS = 3600;
const LOOK_EVERY_MS = 50;
const UNTIL_MS_MAX = 30_000;

/** `node: false` leaves Pods to the test. */
export async function startLab(cluster: TestCluster, options: { node?: boolean } = {}): Promise<Lab> {
  const namespace = await cluster.makeNamespace('lab');
  for (const { path, body } of renderIdentities(namespace))
    await expect(cluster.client, 201, { method: 'POST', path, body });
  return new RunningLab(cluster, namespace, await startLinkFront()).start(options.node ?? true);
}

class RunningLab implements Lab {
  readonly cluster: TestCluster;
  readonly namespace: string;
  readonly front: LinkFront;
  readonly #folder = mkdtempSync(join(tmpdir(), 'stoker-lab-'));
  readonly #processes: StokerProcess[] = [];
  #kubeconfig = '';
  #stopNode: () => Promise<void> = async () => {};

  constructor(cluster: TestCluster, namespace: string, front: LinkFront) {
    this.cluster = cluster;
    this.namespace = namespace;
    this.front = front;
  }

  async start(withNode: boolean): Promise<Lab> {
    const { cluster, namespace } = this;
    this.#kubeconfig = this.#write(
      'controller.kubeconfig',
      renderKubeconfig({
        url: cluster.connection.server,
        caPem: cluster.connection.tls.ca ?? '',
        user: 'controller',
        token: await this.token('stoker-controller', { audience: '' }),
      }),
    );
    if (!withNode) return this;
    const { authorization = '' } = await cluster.connection.authorize();
    const token = authorization.replace(/^Bearer /, '');
    this.#stopNode = await startLabNode(cluster, { namespace, folder: join(this.#folder, 'node'), token });
    return this;
  }

  startController(name: string, args: readonly string[] = [], entryPoint?: string): StokerProcess {
    const flags = {
      kubeconfig: this.#kubeconfig,
      namespace: this.namespace,
      'link-port': '0',
      'admin-port': '0',
      'link-url': this.front.url,
      'lease-holder': name,
      'log-level': 'debug',
    };
    const controller = this.#start('controller', flags, { args, entryPoint });
    controller.ready.then(
      ({ linkPort }) => this.front.pointAt(Number(linkPort)),
      () => undefined,
    );
    return controller;
  }

  async startRouter(): Promise<string> {
    const tokenFile = this.#write('router-token', await this.token('stoker-router'));
    const flags = { port: '0', 'admin-port': '0', 'link-url': this.front.url, 'link-token-file': tokenFile };
    const { url, adminUrl } = await this.#start('router', flags).ready;
    await this.until(async () => (await statusOf(`${adminUrl}/readyz`)) === 200, 'the router to have a table');
    return String(url);
  }

  async token(account: string, { audience = LINK_AUDIENCE, pod }: Parameters<Lab['token']>[1] = {}): Promise<string> {
    const body = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        expirationSeconds: TOKEN_SECONDS,
        ...(audience === '' ? {} : { audiences: [audience] }),
        ...(pod === undefined ? {} : { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', ...pod } }),
      },
    };
    const path = `/api/v1/namespaces/${this.namespace}/serviceaccounts/${account}/token`;
    return (await expect(this.cluster.client, 201, { method: 'POST', path, body })).status.token;
  }

  create(plural: string, object: object): Promise<Json> {
    return expect(this.cluster.client, 201, { method: 'POST', path: this.#path(plural), body: object });
  }

  get(plural: string, name: string): Promise<Json> {
    return expect(this.cluster.client, 200, { method: 'GET', path: `${this.#path(plural)}/${name}` });
  }

  async list(plural: string): Promise<Json[]> {
    return (await expect(this.cluster.client, 200, { method: 'GET', path: this.#path(plural) })).items;
  }

  patch(plural: string, name: string, patch: object): Promise<Json> {
    const headers = { 'content-type': 'application/merge-patch+json' };
    const path = `${this.#path(plural)}/${name}`;
    return expect(this.cluster.client, 200, { method: 'PATCH', path, body: patch, headers });
  }

  async until(condition: () => Promise<boolean>, what: string, msMax = UNTIL_MS_MAX): Promise<void> {
    const endMs = performance.now() + msMax;
    while (!(await condition())) {
      if (performance.now() > endMs) throw new Error(`waited ${msMax} ms in vain for: ${what}\n${this.#logs()}`);
      await delay(systemClock, LOOK_EVERY_MS);
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#processes.map((one) => one.stop()));
    await this.#stopNode();
    await this.front.close();
    const path = `/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/stoker-auth-delegator-${this.namespace}`;
    await this.cluster.client.send({ method: 'DELETE', path });
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #start(
    part: string,
    flags: Readonly<Record<string, string>>,
    more: { args?: readonly string[]; entryPoint?: string | undefined } = {},
  ): StokerProcess {
    const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
    const started = startStokerProcess([part, ...args, ...(more.args ?? [])], {}, more.entryPoint);
    this.#processes.push(started);
    return started;
  }

  #write(name: string, text: string): string {
    const path = join(this.#folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  }

  #path(plural: string): string {
    const ours = ['pools', 'models', 'modelrevisions'].includes(plural);
    const root = ours ? '/apis/stoker.dev/v1alpha1' : plural === 'leases' ? '/apis/coordination.k8s.io/v1' : '/api/v1';
    return `${root}/namespaces/${this.namespace}/${plural}`;
  }

  #logs(): string {
    return this.#processes.map((one) => one.log().slice(-1500)).join('\n');
  }
}

async function statusOf(url: string): Promise<number> {
  const { statusCode, body } = await request(url);
  await body.dump();
  return statusCode;
}
