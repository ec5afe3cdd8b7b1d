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
import type { ClusterNetwork } from './network.ts';

export interface ControlPlane {
  /** Of an administrator. */
  readonly kubeconfig: string;
  readonly server: string;
  readonly caPem: string;
  readonly adminToken: string;
  /** Of the node, when there may be one. */
  readonly nodeToken: string;
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
  /** Runs all controllers and the scheduler, at an address of a network of its own: what real nodes need. */
  readonly forNodes?: { readonly network: ClusterNetwork; readonly nodeName: string };
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

const NODE_FLAGS = ['--allow-privileged=true', '--kubelet-preferred-address-types=InternalIP'];

export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const plane = new Plane(requireTools(options.forNodes === undefined ? 'api' : 'all', process.env), options);
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
  readonly scheduler: number;
}

class Plane implements ControlPlane {
  readonly folder = makeLabFolder();
  readonly kubeconfig = join(this.folder, 'kubeconfig');
  readonly adminToken = randomBytes(24).toString('base64url');
  readonly nodeToken = randomBytes(24).toString('base64url');
  readonly #tools: string;
  readonly #options: ControlPlaneOptions;
  #ports: Ports = { api: 0, etcd: 0, etcdPeer: 0, controllers: 0, scheduler: 0 };
  #etcd: Daemon | undefined;
  #apiServer: Daemon | undefined;
  #controllers: Daemon | undefined;
  #scheduler: Daemon | undefined;

  constructor(tools: string, options: ControlPlaneOptions) {
    this.#tools = tools;
    this.#options = options;
  }

  get server(): string {
    return `https://${this.#address}:${this.#ports.api}`;
  }

  get caPem(): string {
    return readFileSync(this.#certificate(), 'utf8');
  }

  async start(): Promise<void> {
    refuseOldEtcd(this.#tools);
    const [api = 0, etcd = 0, etcdPeer = 0, controllers = 0, scheduler = 0] = await freePorts(5);
    this.#ports = { api, etcd, etcdPeer, controllers, scheduler };
    mkdirSync(join(this.folder, 'certs'), { mode: 0o700 });
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    writeFileSync(this.#file('sa.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 });
    writeFileSync(this.#file('tokens.csv'), this.#renderTokens(), { mode: 0o600 });
    this.#etcd = this.#startProgram('etcd', this.#etcdArgs());
    await this.startApiServer();
    writeFileSync(this.kubeconfig, renderLabKubeconfig(this, this.adminToken), { mode: 0o600 });
    await this.#options.prepare?.(this.kubeconfig);
    this.#controllers = this.#startProgram('kube-controller-manager', this.#controllerArgs());
    if (this.#options.forNodes !== undefined) {
      this.#scheduler = this.#startProgram('kube-scheduler', this.#schedulerArgs());
    }
    const account = '/api/v1/namespaces/default/serviceaccounts/default';
    await this.#controllers.ready(async () => (await this.#get(account)) === 200, READY_MS_MAX);
  }

  async startApiServer(flags: readonly string[] = []): Promise<void> {
    const args = [...this.#apiServerArgs(), ...(this.#options.apiServerFlags ?? []), ...flags];
    const daemon = this.#startProgram('kube-apiserver', args);
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
    await Promise.all([this.#scheduler, this.#controllers, this.#apiServer].map((one) => one?.stop('SIGKILL')));
    await this.#etcd?.stop('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }

  get #address(): string {
    return this.#options.forNodes?.network.nodeAddress ?? '127.0.0.1';
  }

  #startProgram(name: string, args: readonly string[]): Daemon {
    const { forNodes } = this.#options;
    const options = forNodes === undefined ? {} : { prefix: forNodes.network.enter };
    return startDaemon(join(this.#tools, name), args, join(this.folder, `${name}.log`), options);
  }

  #renderTokens(): string {
    const node = `system:node:${this.#options.forNodes?.nodeName ?? 'lab'}`;
    return `${this.adminToken},admin,admin,system:masters\n${this.nodeToken},${node},${node},system:nodes\n`;
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
      `--bind-address=${this.#address}`,
      `--advertise-address=${this.#address}`,
      `--secure-port=${this.#ports.api}`,
      // It refuses a loopback address as the endpoint of its own Service.
      ...(this.#options.forNodes === undefined ? ['--endpoint-reconciler-type=none'] : NODE_FLAGS),
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
      ...(this.#options.forNodes === undefined ? [`--controllers=${CONTROLLERS.join(',')}`] : []),
    ];
  }

  #schedulerArgs(): string[] {
    return [
      `--kubeconfig=${this.kubeconfig}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${this.#ports.scheduler}`,
      `--cert-dir=${join(this.folder, 'scheduler')}`,
      '--leader-elect=false',
    ];
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

/** For whoever has the token. */
export function renderLabKubeconfig({ server, caPem }: Pick<ControlPlane, 'server' | 'caPem'>, token: string): string {
  const authority = Buffer.from(caPem).toString('base64');
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'lab', cluster: { server, 'certificate-authority-data': authority } }],
    users: [{ name: 'lab', user: { token } }],
    contexts: [{ name: 'lab', context: { cluster: 'lab', user: 'lab', namespace: 'default' } }],
    'current-context': 'lab',
  });
}
