// A private Kubernetes control plane on loopback: etcd, kube-apiserver and the few controllers that tests need, on free
// ports, with everything they keep in one temporary folder. Owns its processes by handle and leaves nothing behind.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { refuseOldEtcd, requireTools } from '../../../scripts/cluster-tools/find.ts';
import { type Daemon, startDaemon } from './daemon.ts';
import { freePorts } from './free-ports.ts';
import { makeLabFolder } from './lab-folder.ts';

export interface ControlPlane {
  /** Of an administrator. */
  readonly kubeconfig: string;
  readonly server: string;
  readonly caPem: string;
  readonly adminToken: string;
  readonly folder: string;
  /** By default it goes in order; `SIGKILL` cuts everything that it was doing. */
  stopApiServer(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** On the same port, with the same data. Resolves once it is ready. Flags are for this start alone. */
  startApiServer(flags?: readonly string[]): Promise<void>;
  apiServerPid(): number;
  /** Ends every process and removes the folder. */
  stop(): Promise<void>;
}

export interface ControlPlaneOptions {
  readonly apiServerFlags?: readonly string[];
  /** Called when the API server is ready and before the controllers start: the garbage collector looks for new kinds only
   * every 30 s, so what defines kinds is installed here. */
  prepare?(kubeconfig: string): Promise<void>;
}

const READY_MS_MAX = 60_000;
/** What creates the default ServiceAccount, empties namespaces, collects garbage, and counts for PDBs. */
const CONTROLLERS = [
  'serviceaccount-controller',
  'namespace-controller',
  'garbage-collector-controller',
  'root-ca-certificate-publisher-controller',
  'disruption-controller',
  'validatingadmissionpolicy-status-controller',
];

export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const plane = new Plane(requireTools('api', process.env), options);
  try {
    await plane.start();
    return plane;
  } catch (error) {
    await plane.stop();
    throw error;
  }
}

interface Ports {
  readonly api: number;
  readonly etcd: number;
  readonly etcdPeer: number;
  readonly controllers: number;
}

class Plane implements ControlPlane {
  readonly folder = makeLabFolder();
  readonly kubeconfig = join(this.folder, 'kubeconfig');
  readonly adminToken = randomBytes(24).toString('base64url');
  readonly #tools: string;
  readonly #options: ControlPlaneOptions;
  #ports: Ports = { api: 0, etcd: 0, etcdPeer: 0, controllers: 0 };
  #etcd: Daemon | undefined;
  #apiServer: Daemon | undefined;
  #controllers: Daemon | undefined;

  constructor(tools: string, options: ControlPlaneOptions) {
    this.#tools = tools;
    this.#options = options;
  }

  get server(): string {
    return `https://127.0.0.1:${this.#ports.api}`;
  }

  get caPem(): string {
    return readFileSync(this.#certificate(), 'utf8');
  }

  async start(): Promise<void> {
    refuseOldEtcd(this.#tools);
    const [api = 0, etcd = 0, etcdPeer = 0, controllers = 0] = await freePorts(4);
    this.#ports = { api, etcd, etcdPeer, controllers };
    mkdirSync(join(this.folder, 'certs'), { mode: 0o700 });
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    writeFileSync(this.#file('sa.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 });
    writeFileSync(this.#file('tokens.csv'), `${this.adminToken},admin,admin,system:masters\n`, { mode: 0o600 });
    this.#etcd = startDaemon(join(this.#tools, 'etcd'), this.#etcdArgs(), join(this.folder, 'etcd.log'));
    await this.startApiServer();
    writeFileSync(this.kubeconfig, this.#renderKubeconfig(), { mode: 0o600 });
    await this.#options.prepare?.(this.kubeconfig);
    this.#controllers = startDaemon(
      join(this.#tools, 'kube-controller-manager'),
      this.#controllerArgs(),
      join(this.folder, 'controllers.log'),
    );
    const account = '/api/v1/namespaces/default/serviceaccounts/default';
    await this.#controllers.ready(async () => (await this.#get(account)) === 200, READY_MS_MAX);
  }

  async startApiServer(flags: readonly string[] = []): Promise<void> {
    const args = [...this.#apiServerArgs(), ...(this.#options.apiServerFlags ?? []), ...flags];
    const daemon = startDaemon(join(this.#tools, 'kube-apiserver'), args, join(this.folder, 'kube-apiserver.log'));
    this.#apiServer = daemon;
    await daemon.ready(
      async () => existsSync(this.#certificate()) && (await this.#get('/readyz')) === 200,
      READY_MS_MAX,
    );
  }

  async stopApiServer(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    await this.#apiServer?.stop(signal);
  }

  apiServerPid(): number {
    return this.#apiServer?.pid ?? -1;
  }

  async stop(): Promise<void> {
    // The API server waits for its watches to end in order; nothing here is worth that.
    await Promise.all([this.#controllers?.stop('SIGKILL'), this.#apiServer?.stop('SIGKILL')]);
    await this.#etcd?.stop('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }

  #file(name: string): string {
    return join(this.folder, 'certs', name);
  }

  #certificate(): string {
    return this.#file('apiserver.crt');
  }

  #etcdArgs(): string[] {
    const client = `http://127.0.0.1:${this.#ports.etcd}`;
    const peer = `http://127.0.0.1:${this.#ports.etcdPeer}`;
    return [
      `--data-dir=${join(this.folder, 'etcd')}`,
      '--name=lab',
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=lab=${peer}`,
      '--unsafe-no-fsync',
    ];
  }

  #apiServerArgs(): string[] {
    return [
      `--etcd-servers=http://127.0.0.1:${this.#ports.etcd}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--secure-port=${this.#ports.api}`,
      // It refuses a loopback address as the endpoint of its own Service.
      '--endpoint-reconciler-type=none',
      `--cert-dir=${join(this.folder, 'certs')}`,
      `--token-auth-file=${this.#file('tokens.csv')}`,
      '--authorization-mode=Node,RBAC',
      '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
      `--service-account-signing-key-file=${this.#file('sa.key')}`,
      `--service-account-key-file=${this.#file('sa.key')}`,
      '--service-cluster-ip-range=10.96.0.0/16',
      '--enable-admission-plugins=NodeRestriction',
    ];
  }

  #controllerArgs(): string[] {
    return [
      `--kubeconfig=${this.kubeconfig}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${this.#ports.controllers}`,
      `--cert-dir=${join(this.folder, 'controllers')}`,
      '--leader-elect=false',
      `--service-account-private-key-file=${this.#file('sa.key')}`,
      `--root-ca-file=${this.#certificate()}`,
      '--use-service-account-credentials=true',
      `--controllers=${CONTROLLERS.join(',')}`,
    ];
  }

  #renderKubeconfig(): string {
    const authority = Buffer.from(this.caPem).toString('base64');
    return JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'lab', cluster: { server: this.server, 'certificate-authority-data': authority } }],
      users: [{ name: 'admin', user: { token: this.adminToken } }],
      contexts: [{ name: 'lab', context: { cluster: 'lab', user: 'admin', namespace: 'default' } }],
      'current-context': 'lab',
    });
  }

  async #get(path: string): Promise<number> {
    const dispatcher = new Agent({ connect: { ca: this.caPem } });
    try {
      const authorization = `Bearer ${this.adminToken}`;
      const answer = await request(this.server + path, { dispatcher, headers: { authorization } });
      await answer.body.dump();
      return answer.statusCode;
    } finally {
      await dispatcher.destroy();
    }
  }
}
