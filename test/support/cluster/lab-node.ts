// A node for slots of one namespace on a real API server: the scheduler's binding, and then Stoker's own process node as
// the kubelet, with real tokens by TokenRequest. Other Pods of the cluster are left alone.
import { mkdirSync } from 'node:fs';
import { kinds, type Pod } from '../../../src/api/kinds.ts';
import { createKubeClient } from '../../../src/kube/client.ts';
import { createKubeCluster } from '../../../src/kube/cluster.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { systemRng } from '../../../src/lib/rng.ts';
import { createNodeApi } from '../../../src/local/node/api-client.ts';
import { createLocalNode } from '../../../src/local/node/node.ts';
import { stokerCommand } from '../../../src/main/supervisor.ts';
import type { TestCluster } from './test-cluster.ts';

const NODE_NAME = 'lab-node';

/** Returns what ends it, with every process that it started. */
export async function startLabNode(
  cluster: TestCluster,
  { namespace, folder, token }: { namespace: string; folder: string; token: string },
): Promise<() => Promise<void>> {
  const common = { clock: systemClock, rng: systemRng, log: silentLog };
  const { server, tls } = cluster.connection;
  const api = createNodeApi({ url: server, caPem: tls.ca ?? '', token, ...common });
  const isOurs = ({ metadata, spec }: Pod) => metadata.namespace === namespace && spec.nodeName === NODE_NAME;
  mkdirSync(folder, { recursive: true });
  const node = createLocalNode({
    api: {
      ...api,
      followPods: (events, signal) =>
        api.followPods(
          {
            onList: (pods) => events.onList(pods.filter(isOurs)),
            onPod: (pod) => isOurs(pod) && events.onPod(pod),
            onGone: (pod) => isOurs(pod) && events.onGone(pod),
          },
          signal,
        ),
    },
    nodeName: NODE_NAME,
    dataDir: folder,
    capacity: { 'stoker.dev/sim-gpu': '8', 'stoker.dev/cpu': '8', cpu: '8', memory: '8Gi' },
    entryPoint: { command: stokerCommand.command, args: [...stokerCommand.args] },
    allowCommands: false,
    environment: { STOKER_LOG_LEVEL: 'info' },
    ...common,
  });
  const unbind = await startBinder(cluster, namespace);
  await node.start();
  return async () => {
    await unbind();
    await node.stop();
    await api.close();
  };
}

/** Binds every new Pod of the namespace to the lab's node. */
async function startBinder(cluster: TestCluster, namespace: string): Promise<() => Promise<void>> {
  const client = createKubeClient(cluster.connection);
  const watched = createKubeCluster({
    connection: cluster.connection,
    namespace,
    watch: [kinds.Pod],
    component: 'binder',
    clock: systemClock,
    rng: systemRng,
    log: silentLog,
  });
  const bind = async (name: string) => {
    const pod = watched.get(kinds.Pod, name);
    if (pod === undefined || pod.spec.nodeName !== undefined || pod.metadata.deletionTimestamp !== undefined) return;
    const body = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name },
      target: { apiVersion: 'v1', kind: 'Node', name: NODE_NAME },
    };
    // A refusal means that it is bound or gone; when the server is away, the next change brings it again.
    await client
      .send({ method: 'POST', path: `/api/v1/namespaces/${namespace}/pods/${name}/binding`, body })
      .catch(() => undefined);
  };
  watched.onChange((_, name) => void bind(name));
  await watched.start();
  return async () => {
    await watched.stop();
    await client.close();
  };
}
