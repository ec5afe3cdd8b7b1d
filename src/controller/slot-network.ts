// One NetworkPolicy for each Pool, made before its first slot: requests come from the routers of the release alone, and nothing
// goes out but to its controller and to names. Written on a cluster alone, and only when the labels of the release are known:
// without them, what was made before is taken away.
import { kinds, type NetworkPolicy, type PolicyPeer } from '../api/kinds.ts';
import type { Pool } from '../api/pool.ts';
import type { ControllerOptions } from './options.ts';
import { dropChild, keepChild, type SeenChildren } from './owned-child.ts';
import { ownedBy } from './ownership.ts';
import { renderSlotLabels, SLOT_DATA_PORT } from './slot-pod.ts';
import { done, type Outcome } from './work-queue.ts';

const COMPONENT_LABEL = 'app.kubernetes.io/component';
const DNS_PORTS: readonly number[] = [53];

export async function keepNetworkPolicy(
  pool: Pool,
  linkPort: number,
  context: { options: ControllerOptions; seen: SeenChildren; signal: AbortSignal },
): Promise<Outcome> {
  const { slotPods } = context.options;
  if (slotPods === undefined) return done;
  const { releaseLabels, dnsTo = [], dnsPorts = DNS_PORTS } = slotPods;
  if (releaseLabels === undefined) {
    return dropChild(kinds.NetworkPolicy, { name: policyName(pool), owner: pool }, context);
  }
  const wanted = renderNetworkPolicy(pool, { linkPort, releaseLabels, dnsTo, dnsPorts });
  const kept = await keepChild(kinds.NetworkPolicy, wanted, context);
  if (kept.type !== 'foreign') return kept;
  const sentence = `The NetworkPolicy ${wanted.metadata.name} belongs to somebody else, and no slot is made without ours. Give it another name or delete it.`;
  return { type: 'failed', sentence, isRefused: true, ownReason: 'PolicyTaken' };
}

function policyName(pool: Pool): string {
  return `stoker-slots-${pool.metadata.name}`;
}

export interface PolicyRelease {
  readonly linkPort: number;
  readonly releaseLabels: Readonly<Record<string, string>>;
  /** Where names are asked for. Empty: anywhere. */
  readonly dnsTo: readonly PolicyPeer[];
  readonly dnsPorts: readonly number[];
}

export function renderNetworkPolicy(pool: Pool, release: PolicyRelease): NetworkPolicy {
  const { apiVersion, kind } = kinds.NetworkPolicy;
  const podsOf = (component: string) => [
    { podSelector: { matchLabels: { ...release.releaseLabels, [COMPONENT_LABEL]: component } } },
  ];
  const tcp = (port: number) => [{ port, protocol: 'TCP' as const }];
  const dns = release.dnsPorts.flatMap((port) => [
    { port, protocol: 'UDP' as const },
    { port, protocol: 'TCP' as const },
  ]);
  // The server leaves an empty list out, and means everywhere with it.
  const names = { ports: dns, ...(release.dnsTo.length === 0 ? {} : { to: release.dnsTo }) };
  return {
    apiVersion,
    kind,
    metadata: { name: policyName(pool), ownerReferences: [ownedBy(kinds.Pool, pool)] },
    spec: {
      podSelector: { matchLabels: renderSlotLabels(pool) },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ ports: tcp(SLOT_DATA_PORT), from: podsOf('router') }],
      egress: [names, { ports: tcp(release.linkPort), to: podsOf('controller') }],
    },
  };
}
