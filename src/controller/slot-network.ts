// One NetworkPolicy for each Pool, made before its first slot: requests come from the routers of the release alone, and nothing
// goes out but to its controller and to names. Written on a cluster alone, and only when the labels of the release are known.
import { kinds, type NetworkPolicy } from '../api/kinds.ts';
import type { Pool } from '../api/pool.ts';
import type { ControllerOptions } from './options.ts';
import { keepChild, type SeenChildren } from './owned-child.ts';
import { ownedBy } from './ownership.ts';
import { renderSlotLabels, SLOT_DATA_PORT } from './slot-pod.ts';
import { done, type Outcome } from './work-queue.ts';

const COMPONENT_LABEL = 'app.kubernetes.io/component';

export async function keepNetworkPolicy(
  pool: Pool,
  linkPort: number,
  context: { options: ControllerOptions; seen: SeenChildren; signal: AbortSignal },
): Promise<Outcome> {
  const releaseLabels = context.options.slotPods?.releaseLabels;
  if (releaseLabels === undefined) return done;
  const wanted = renderNetworkPolicy(pool, { linkPort, releaseLabels });
  const kept = await keepChild(kinds.NetworkPolicy, wanted, context);
  if (kept.type !== 'foreign') return kept;
  const sentence = `The NetworkPolicy ${wanted.metadata.name} belongs to somebody else, and no slot is made without ours. Give it another name or delete it.`;
  return { type: 'failed', sentence };
}

export function renderNetworkPolicy(
  pool: Pool,
  release: { readonly linkPort: number; readonly releaseLabels: Readonly<Record<string, string>> },
): NetworkPolicy {
  const { apiVersion, kind } = kinds.NetworkPolicy;
  const podsOf = (component: string) => [
    { podSelector: { matchLabels: { ...release.releaseLabels, [COMPONENT_LABEL]: component } } },
  ];
  const tcp = (port: number) => [{ port, protocol: 'TCP' as const }];
  const names = [
    { port: 53, protocol: 'UDP' as const },
    { port: 53, protocol: 'TCP' as const },
  ];
  return {
    apiVersion,
    kind,
    metadata: { name: `stoker-slots-${pool.metadata.name}`, ownerReferences: [ownedBy(kinds.Pool, pool)] },
    spec: {
      podSelector: { matchLabels: renderSlotLabels(pool) },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ ports: tcp(SLOT_DATA_PORT), from: podsOf('router') }],
      egress: [{ ports: names }, { ports: tcp(release.linkPort), to: podsOf('controller') }],
    },
  };
}
