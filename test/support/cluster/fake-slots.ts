// Hundreds of slots without processes: every Pod of the namespace is bound, gets the status of a running one, and has an
// agent that dials the link with a token of its own. Nothing is awake in them: they are there to be counted.

import { kinds, type Pod } from '../../../src/api/kinds.ts';
import { type AgentReport, LINK_VERSION_MAX, LINK_VERSION_MIN } from '../../../src/api/link.ts';
import { createKubeClient } from '../../../src/kube/client.ts';
import { createKubeCluster } from '../../../src/kube/cluster.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { systemRng } from '../../../src/lib/rng.ts';
import { createAgentSpoke } from '../../../src/link/spoke.ts';
import type { AgentSpoke } from '../../../src/ports/link.ts';
import type { Lab } from './lab.ts';

export interface FakeSlots {
  connected(): number;
  /** How many a leader of this epoch has given a target. */
  commandedBy(epoch: number): number;
  stop(): Promise<void>;
}

const common = { clock: systemClock, rng: systemRng, log: silentLog };

/** Where they dial: the front of the lab, unless the link is elsewhere and over TLS. */
export interface LinkPlace {
  readonly url: string;
  readonly ca?: () => Promise<string>;
}

interface FakeSlot {
  readonly spoke: AgentSpoke;
  epoch(): number;
}

export async function startFakeSlots(lab: Lab, place: LinkPlace = lab.front): Promise<FakeSlots> {
  const client = createKubeClient(lab.cluster.connection);
  const { connection } = lab.cluster;
  const watched = createKubeCluster({
    connection,
    namespace: lab.namespace,
    watch: [kinds.Pod],
    component: 'slots',
    ...common,
  });
  const slots = new Map<string, FakeSlot>();
  const bring = async (pod: Pod) => {
    const { name, uid = '' } = pod.metadata;
    const path = `/api/v1/namespaces/${lab.namespace}/pods/${name}`;
    const target = { apiVersion: 'v1', kind: 'Node', name: 'many' };
    const binding = { apiVersion: 'v1', kind: 'Binding', metadata: { name }, target };
    await client.send({ method: 'POST', path: `${path}/binding`, body: binding });
    const token = await lab.token('stoker-slot', { pod: { name, uid } });
    const conditions = [{ type: 'Ready', status: 'True' }];
    const status = { phase: 'Running', podIP: '127.0.0.1', conditions };
    await client.patch(kinds.Pod, { namespace: lab.namespace, name, subresource: 'status' }, { status });
    const slot = dialAs(place, { name, uid, token });
    slots.set(name, slot);
    slot.spoke.start();
  };
  watched.onChange((_, name) => {
    const pod = watched.get(kinds.Pod, name);
    if (pod === undefined || pod.spec.nodeName !== undefined || slots.has(name)) return;
    void bring(pod);
  });
  await watched.start();
  return {
    connected: () => [...slots.values()].filter(({ spoke }) => spoke.isConnected()).length,
    commandedBy: (wanted) => [...slots.values()].filter(({ epoch }) => epoch() === wanted).length,
    async stop() {
      await watched.stop();
      await Promise.all([...slots.values()].map(({ spoke }) => spoke.stop()));
      await client.close();
    },
  };
}

function dialAs(place: LinkPlace, pod: { name: string; uid: string; token: string }): FakeSlot {
  let fence = { epoch: 0, seq: 0 };
  const report = (): AgentReport => ({ type: 'report', fence, keyVersions: [1], terminating: false, instances: [] });
  const spoke = createAgentSpoke(
    {
      url: () => place.url,
      ...(place.ca === undefined ? {} : { ca: place.ca }),
      token: async () => pod.token,
      hello: () => ({
        type: 'hello',
        role: 'agent',
        podUid: pod.uid,
        name: pod.name,
        release: 'test',
        versions: { min: LINK_VERSION_MIN, max: LINK_VERSION_MAX },
        fence,
        dataPort: 8000,
      }),
      ...common,
    },
    {
      onOpen: () => void spoke.send(report()),
      onClose: () => undefined,
      onMessage(message) {
        if (message.type !== 'target') return;
        fence = { epoch: message.epoch, seq: message.seq };
        spoke.send(report());
      },
    },
  );
  return { spoke, epoch: () => fence.epoch };
}
