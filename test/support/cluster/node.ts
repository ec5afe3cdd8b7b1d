// One real node: containerd, the kubelet, kube-proxy and a DNS server, in the network of a test. Images come from archives,
// never from a registry. Everything ends by its handle or by what its own container runtime knows, in the one order that
// leaves nothing behind. Needs root, and the packages that scripts/ensure-node-packages.sh installs.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { requireTools } from '../../../scripts/cluster-tools/find.ts';
import { delay, systemClock } from '../../../src/lib/clock.ts';
import { type ControlPlane, renderLabKubeconfig } from './control-plane.ts';
import { type Daemon, startDaemon } from './daemon.ts';
import { type ClusterNetwork, POD_RANGE } from './network.ts';
import { makeNodeFolder, sweepNodes, unmountBelow } from './node-leftovers.ts';
import { runCommand } from './shell.ts';

export interface ClusterNode {
  readonly name: string;
  /** Loads an archive of the OCI form. `digestName` is NAME@DIGEST, for Pods that name it so. */
  importImage(archive: string, digestName?: string): Promise<void>;
  logs(): string;
  stop(): Promise<void>;
}

export interface NodeOptions {
  readonly name: string;
  readonly plane: ControlPlane;
  readonly network: ClusterNetwork;
  /** The archive of the image that holds a Pod's namespaces, and its name. */
  readonly pause: { readonly archive: string; readonly name: string };
}

const READY_MS_MAX = 60_000;
/** Images and containers: on a disk, because they are large. */
const DISK_PARENT = '/var/tmp';
/** The kubelet sets these for the whole machine, whatever namespace it runs in. */
const KERNEL_SETTINGS = ['vm/overcommit_memory', 'vm/panic_on_oom', 'kernel/panic', 'kernel/panic_on_oops'];

export async function startNode(options: NodeOptions): Promise<ClusterNode> {
  await sweepNodes(DISK_PARENT);
  const node = new LabNode(options, requireTools('all', process.env));
  try {
    await node.start();
    return node;
  } catch (error) {
    await node.stop();
    throw error;
  }
}

class LabNode implements ClusterNode {
  readonly name: string;
  readonly #options: NodeOptions;
  readonly #tools: string;
  readonly #disk = makeNodeFolder(DISK_PARENT);
  readonly #kernel = KERNEL_SETTINGS.map((setting) => [`/proc/sys/${setting}`, readSetting(setting)] as const);
  #containerd: Daemon | undefined;
  #kubelet: Daemon | undefined;
  #others: Daemon[] = [];

  constructor(options: NodeOptions, tools: string) {
    this.#options = options;
    this.#tools = tools;
    this.name = options.name;
  }

  async start(): Promise<void> {
    for (const folder of ['cni', 'kubelet', 'run', 'pod-logs']) mkdirSync(join(this.#disk, folder));
    writeFileSync(join(this.#disk, 'cni/10-lab.conflist'), JSON.stringify(this.#renderNetwork()));
    writeFileSync(this.#path('containerd.toml'), this.#renderContainerd());
    writeFileSync(this.#path('kubelet.json'), JSON.stringify(this.#renderKubelet()));
    const { plane } = this.#options;
    writeFileSync(this.#path('kubeconfig'), renderLabKubeconfig(plane, plane.nodeToken), { mode: 0o600 });
    this.#containerd = this.#startDaemon('/usr/bin/containerd', ['--config', this.#path('containerd.toml')]);
    await this.#containerd.ready(async () => (await this.#ctr('version')) !== '', READY_MS_MAX);
    await this.importImage(this.#options.pause.archive);
    this.#kubelet = this.#startDaemon(join(this.#tools, 'kubelet'), this.#kubeletArgs());
    await this.#kubelet.ready(() => this.#isReady(), READY_MS_MAX);
    this.#others = [this.#startProxy(), this.#startDns()];
  }

  async importImage(archive: string, digestName?: string): Promise<void> {
    const name = digestName === undefined ? [] : ['--digests', '--base-name', digestName.split('@')[0] ?? ''];
    await this.#ctr('images', 'import', '--snapshotter', 'overlayfs', ...name, archive);
  }

  logs(): string {
    return [this.#kubelet, this.#containerd].map((daemon) => daemon?.log().slice(-4000) ?? '').join('\n');
  }

  async stop(): Promise<void> {
    await this.#kubelet?.stop();
    if (this.#containerd !== undefined) await this.#endContainers();
    for (const daemon of [...this.#others, this.#containerd]) await daemon?.stop();
    await unmountBelow(this.#disk);
    for (const [path, value] of this.#kernel) writeFileSync(path, value);
    removeCgroups();
    rmSync(this.#disk, { recursive: true, force: true });
  }

  #path(name: string): string {
    return join(this.#disk, name);
  }

  #startDaemon(program: string, args: readonly string[]): Daemon {
    const name = program.slice(program.lastIndexOf('/') + 1);
    return startDaemon(program, args, this.#path(`${name}.log`), { prefix: this.#options.network.enter });
  }

  #ctr(...args: readonly string[]): Promise<string> {
    const socket = this.#path('run/containerd.sock');
    return runCommand(['ctr', '-a', socket, '-n', 'k8s.io', ...args], { msMax: 120_000 });
  }

  async #isReady(): Promise<boolean> {
    const kubectl = [join(this.#tools, 'kubectl'), `--kubeconfig=${this.#options.plane.kubeconfig}`];
    const path = '{.status.conditions[?(@.type=="Ready")].status}';
    return (await runCommand([...kubectl, 'get', 'node', this.name, '-o', `jsonpath=${path}`])) === 'True';
  }

  /** By what this containerd knows, and no others: they outlive it. */
  async #endContainers(): Promise<void> {
    const tasks = lines(await this.#ctr('tasks', 'ls', '-q').catch(() => ''));
    for (const task of tasks) await this.#ctr('tasks', 'kill', '-s', 'KILL', task).catch(() => '');
    const endMs = performance.now() + 5000;
    const isRunning = async () => (await this.#ctr('tasks', 'ls').catch(() => '')).includes('RUNNING');
    while ((await isRunning()) && performance.now() < endMs) await delay(systemClock, 100);
    for (const task of tasks) await this.#ctr('tasks', 'rm', '-f', task).catch(() => '');
    const spaces = new Set<string>();
    for (const container of lines(await this.#ctr('containers', 'ls', '-q').catch(() => ''))) {
      const info = await this.#ctr('containers', 'info', container).catch(() => '');
      for (const [, space = ''] of info.matchAll(/netns\/(cni-[0-9a-f-]+)/g)) spaces.add(space);
      await this.#ctr('containers', 'rm', container).catch(() => '');
    }
    for (const space of spaces) await runCommand(['ip', 'netns', 'del', space]).catch(() => '');
  }

  #renderNetwork(): object {
    const addresses = { type: 'host-local', dataDir: this.#path('cni/addresses'), ranges: [[{ subnet: POD_RANGE }]] };
    const bridge = { type: 'bridge', bridge: 'cni0', isGateway: true, ipMasq: false, hairpinMode: true };
    return {
      cniVersion: '0.4.0',
      name: 'lab',
      plugins: [
        { ...bridge, ipam: { ...addresses, routes: [{ dst: '0.0.0.0/0' }] } },
        { type: 'portmap', capabilities: { portMappings: true } },
      ],
    };
  }

  #renderContainerd(): string {
    const cri = 'plugins."io.containerd.grpc.v1.cri"';
    const without = ['aufs', 'btrfs', 'devmapper', 'zfs'].map((name) => `"io.containerd.snapshotter.v1.${name}"`);
    return `version = 2
root = "${this.#path('containerd')}"
state = "${this.#path('run/containerd')}"
oom_score = 0
disabled_plugins = [${without.join(', ')}]
[grpc]
  address = "${this.#path('run/containerd.sock')}"
[${cri}]
  sandbox_image = "${this.#options.pause.name}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
[${cri}.containerd]
  snapshotter = "overlayfs"
[${cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[${cri}.containerd.runtimes.runc.options]
  SystemdCgroup = false
[${cri}.cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "${this.#path('cni')}"
`;
  }

  #renderKubelet(): object {
    return {
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      kind: 'KubeletConfiguration',
      address: this.#options.network.nodeAddress,
      // The API server of a test has no client certificate. Nobody else reaches this network.
      authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
      authorization: { mode: 'AlwaysAllow' },
      containerRuntimeEndpoint: `unix://${this.#path('run/containerd.sock')}`,
      cgroupDriver: 'cgroupfs',
      cgroupRoot: '/',
      failSwapOn: false,
      failCgroupV1: false,
      oomScoreAdj: 0,
      clusterDomain: 'cluster.local',
      clusterDNS: [this.#options.network.nodeAddress],
      resolvConf: '',
      podLogsDir: this.#path('pod-logs'),
      imageGCHighThresholdPercent: 100,
      imageGCLowThresholdPercent: 99,
      evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
      healthzBindAddress: '127.0.0.1',
    };
  }

  #kubeletArgs(): string[] {
    return [
      `--config=${this.#path('kubelet.json')}`,
      `--kubeconfig=${this.#path('kubeconfig')}`,
      `--root-dir=${this.#path('kubelet')}`,
      `--cert-dir=${this.#path('kubelet/pki')}`,
      `--hostname-override=${this.name}`,
      `--node-ip=${this.#options.network.nodeAddress}`,
    ];
  }

  #startProxy(): Daemon {
    const configuration = {
      apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
      kind: 'KubeProxyConfiguration',
      bindAddress: this.#options.network.nodeAddress,
      healthzBindAddress: '127.0.0.1:10256',
      metricsBindAddress: '127.0.0.1:10249',
      clientConnection: { kubeconfig: this.#options.plane.kubeconfig },
      mode: 'nftables',
      hostnameOverride: this.name,
      detectLocalMode: 'BridgeInterface',
      detectLocal: { bridgeInterface: 'cni0' },
      conntrack: { maxPerCore: 0, min: 0, tcpCloseWaitTimeout: '0s', tcpEstablishedTimeout: '0s' },
    };
    writeFileSync(this.#path('proxy.json'), JSON.stringify(configuration));
    return this.#startDaemon(join(this.#tools, 'kube-proxy'), [`--config=${this.#path('proxy.json')}`]);
  }

  #startDns(): Daemon {
    const { network, plane } = this.#options;
    const zone = `kubernetes cluster.local {\n  kubeconfig ${plane.kubeconfig}\n }`;
    writeFileSync(this.#path('Corefile'), `.:53 {\n bind ${network.nodeAddress}\n errors\n ${zone}\n}\n`);
    return this.#startDaemon(join(this.#tools, 'coredns'), ['-conf', this.#path('Corefile')]);
  }
}

function readSetting(setting: string): string {
  return readFileSync(`/proc/sys/${setting}`, 'utf8');
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

const CGROUP_ROOT = '/sys/fs/cgroup';
const PODS = 'kubepods';

/** The kubelet leaves its empty groups behind, in every hierarchy. A group with processes in it stays. */
function removeCgroups(): void {
  const roots = [CGROUP_ROOT, ...readdirSync(CGROUP_ROOT).map((name) => join(CGROUP_ROOT, name))];
  for (const root of roots.map((one) => join(one, PODS)).filter((one) => existsSync(one))) removeGroup(root);
}

function removeGroup(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) removeGroup(join(path, entry.name));
  }
  try {
    rmdirSync(path);
  } catch {
    // Somebody's process is in it.
  }
}
