// The way from this process to the router: the address of the Service itself where the network of the cluster can be
// reached, and else a port-forward of kubectl, which ends with the one Pod that it goes to.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { type Daemon, startDaemon } from '../support/cluster/daemon.ts';
import { freePorts } from '../support/cluster/free-ports.ts';
import type { RealCluster } from '../support/cluster/real-cluster.ts';
import type { Places } from './guide-walk.ts';
import type { Site } from './site.ts';

export interface Road {
  /** For the commands of the guides. */
  readonly places: Places;
  /** Of the router. */
  url(): Promise<string>;
  /** Whether it is the Service itself, which stays when a router Pod goes. */
  isDirect(): Promise<boolean>;
  close(): Promise<void>;
}

const FORWARD_MS_MAX = 30_000;
const PROBE_MS_MAX = 3000;

export async function openRoad(cluster: RealCluster, site: Site): Promise<Road> {
  const [port = 0, adminPort = 0, own = 0] = await freePorts(3);
  const folder = mkdtempSync(join(tmpdir(), 'stoker-road-'));
  let forward: Daemon | undefined;
  const ofService = async () => {
    const { spec } = await site.get('service', 'stoker');
    return `http://${spec.clusterIP}:${spec.ports[0].port}`;
  };
  const ofForward = async () => {
    await forward?.stop();
    const args = [
      `--kubeconfig=${cluster.kubeconfig}`,
      '-n',
      site.namespace,
      'port-forward',
      'service/stoker',
      `${own}:8080`,
    ];
    forward = startDaemon(join(cluster.tools, 'kubectl'), args, join(folder, 'forward.log'));
    await forward.ready(async () => /Forwarding from/.test(forward?.log() ?? ''), FORWARD_MS_MAX);
    return `http://127.0.0.1:${own}`;
  };
  let direct: boolean | undefined;
  const isDirect = async () => {
    direct ??= await answers(await ofService());
    return direct;
  };
  return {
    places: { port, adminPort, folder },
    isDirect,
    url: async () => ((await isDirect()) ? ofService() : ofForward()),
    async close() {
      await forward?.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    const { body } = await request(`${url}/v1/models`, { signal: AbortSignal.timeout(PROBE_MS_MAX) });
    await body.dump();
    return true;
  } catch {
    return false;
  }
}
