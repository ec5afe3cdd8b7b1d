// The cluster of the end-to-end tests, with a real scheduler, a real kubelet and our own images: the one that
// STOKER_E2E_KUBECONFIG names (kind, with the images loaded), or one of its own on this machine. Everything that was
// started is ended by stop, also when the start failed half-way.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { requireTools } from '../../../scripts/cluster-tools/find.ts';
import { startControlPlane } from './control-plane.ts';
import { stopWhenInterrupted } from './interruption.ts';
import { startNetwork } from './network.ts';
import { startNode } from './node.ts';

export interface RealCluster {
  /** Of an administrator. */
  readonly kubeconfig: string;
  /** The folder with kubectl, helm and kwok. */
  readonly tools: string;
  /** Images of engines on the node, by digest: one with the imitation of vLLM, and one that cannot run our agent. */
  readonly engines: { readonly vllm: string; readonly unusable: string };
  /** The end of what the node said, to explain a failure. */
  logs(): string;
  stop(): Promise<void>;
}

/** What scripts/cluster-images/build.ts prints. */
interface Images {
  readonly pause: { readonly archive: string; readonly name: string };
  readonly engines: Readonly<Record<'vllm' | 'unusable', { readonly archive: string; readonly name: string }>>;
  readonly archives: readonly string[];
}

const repository = fileURLToPath(new URL('../../..', import.meta.url));
/** As kind names the node of the cluster `stoker`: the guides patch it by this name. */
export const NODE_NAME = 'stoker-control-plane';

export async function openRealCluster(): Promise<RealCluster> {
  const tools = requireTools('all', process.env);
  const { env } = process;
  const { STOKER_E2E_KUBECONFIG: given } = env;
  if (given) {
    const engines = { vllm: env.STOKER_E2E_ENGINE_IMAGE ?? '', unusable: env.STOKER_E2E_UNUSABLE_IMAGE ?? '' };
    return { kubeconfig: given, tools, engines, logs: () => '', stop: async () => {} };
  }
  return startRealCluster(tools, buildImages());
}

function buildImages(): Images {
  const script = 'scripts/cluster-images/build.ts';
  const { status, stdout } = spawnSync(process.execPath, [script], {
    cwd: repository,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) throw new Error(`${script} could not build the images; it said why above.`);
  return JSON.parse(stdout) as Images;
}

async function startRealCluster(tools: string, images: Images): Promise<RealCluster> {
  const ends: (() => Promise<void>)[] = [];
  /** The last that came goes first. One that fails does not keep the others. */
  const stop = async () => {
    const failures: unknown[] = [];
    for (const end of ends.splice(0).reverse()) await end().catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw new AggregateError(failures, 'The test cluster could not be taken down completely.');
  };
  const unwatch = stopWhenInterrupted(stop);
  ends.push(async () => unwatch());
  try {
    const network = await startNetwork();
    ends.push(() => network.stop());
    const plane = await startControlPlane({ forNodes: { network, nodeName: NODE_NAME } });
    ends.push(() => plane.stop());
    const node = await startNode({ name: NODE_NAME, plane, network, pause: images.pause });
    ends.push(() => node.stop());
    for (const archive of images.archives) await node.importImage(archive);
    const { vllm, unusable } = images.engines;
    for (const { archive, name } of [vllm, unusable]) await node.importImage(archive, name);
    const engines = { vllm: vllm.name, unusable: unusable.name };
    return { kubeconfig: plane.kubeconfig, tools, engines, logs: () => node.logs(), stop };
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
}
