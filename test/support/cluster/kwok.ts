// Nodes that are only objects, by kwok: the scheduler counts their accelerators, and Pods on them are Ready at once and
// gone at once. Real nodes stay as they are. A taint keeps away every Pod that does not ask for such a node.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Daemon, startDaemon } from './daemon.ts';
import { freePorts } from './free-ports.ts';

export interface FakeNodes {
  /** To apply. */
  readonly manifest: string;
  stop(): Promise<void>;
}

export const FAKE_NODE_MARK = 'kwok.x-k8s.io/node';

export interface FakeNodeOptions {
  readonly tools: string;
  readonly kubeconfig: string;
  readonly count: number;
  /** On each node: `{'stoker.dev/fake-gpu': '10'}` */
  readonly accelerators: Readonly<Record<string, string>>;
}

export async function startFakeNodes({ tools, kubeconfig, count, accelerators }: FakeNodeOptions): Promise<FakeNodes> {
  const folder = mkdtempSync(join(tmpdir(), 'stoker-kwok-'));
  const [port = 0] = await freePorts(1);
  const args = [
    `--config=${join(tools, 'kwok-stages.yaml')}`,
    `--kubeconfig=${kubeconfig}`,
    `--manage-nodes-with-annotation-selector=${FAKE_NODE_MARK}=fake`,
    '--node-lease-duration-seconds=40',
    '--cidr=10.77.0.0/16',
    '--node-ip=127.0.0.1',
    `--server-address=127.0.0.1:${port}`,
  ];
  const daemon: Daemon = startDaemon(join(tools, 'kwok'), args, join(folder, 'kwok.log'));
  return {
    manifest: JSON.stringify({
      apiVersion: 'v1',
      kind: 'List',
      items: Array.from({ length: count }, (_, index) => renderNode(`fake-${index}`, accelerators)),
    }),
    async stop() {
      await daemon.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function renderNode(name: string, accelerators: Readonly<Record<string, string>>): object {
  const amounts = { cpu: '32', memory: '256Gi', pods: '110', ...accelerators };
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      annotations: { [FAKE_NODE_MARK]: 'fake' },
      labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', type: 'kwok' },
    },
    spec: { taints: [{ key: FAKE_NODE_MARK, value: 'fake', effect: 'NoSchedule' }] },
    status: { allocatable: amounts, capacity: amounts },
  };
}
