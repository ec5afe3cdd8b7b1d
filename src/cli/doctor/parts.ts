// Checks of what the chart installs: the Deployments of controller and router, the Lease, the Service of the link and who is
// behind it, and every Secret and ConfigMap that these name. Only reads; of Secrets only that they are there.
import { LINK_CA_CONFIG_MAP, LINK_SERVICE } from '../../api/link.ts';
import { type Clock, delay } from '../../lib/clock.ts';
import { at, type ClusterReader, type Fields, listed, numberAt, type Read, textAt } from './cluster-reader.ts';
import { bad, doubtful, type Finding, good, skipped } from './finding.ts';

const LEASE = 'stoker-controller';
const LEASE_LOOK_MS = 500;
const LEASE_SECONDS_DEFAULT = 15;
const LEASE_SECONDS_MAX = 60;
const WORDS_CHARS_MAX = 400;

export async function readDeployments(reader: ClusterReader): Promise<Read<readonly Fields[]>> {
  const selector = encodeURIComponent('app.kubernetes.io/part-of=stoker');
  return reader.list(`/apis/apps/v1/namespaces/${reader.namespace}/deployments?labelSelector=${selector}`);
}

/** One finding for the controller and one for the router. */
export function checkDeployments(reader: ClusterReader, deployments: Read<readonly Fields[]>): Promise<Finding[]> {
  const { namespace } = reader;
  return Promise.all(
    ['controller', 'router'].map(async (component) => {
      if (deployments.type === 'refused') return skipped(component, deployments.sentence);
      const ours = (deployments.type === 'found' ? deployments.value : []).find(
        ({ metadata }) => at(metadata, 'labels', 'app.kubernetes.io/component') === component,
      );
      if (ours !== undefined) return judgeDeployment(reader, component, ours);
      const remedy = 'helm install stoker charts/stoker, in this namespace; or name another one with --namespace.';
      return bad(component, `There is no Deployment of a ${component} in ${namespace}.`, remedy);
    }),
  );
}

async function judgeDeployment(reader: ClusterReader, check: string, deployment: Fields): Promise<Finding> {
  const { namespace } = reader;
  const name = textAt(deployment, 'metadata', 'name');
  const wanted = numberAt(deployment, 'spec', 'replicas');
  const ready = numberAt(deployment, 'status', 'readyReplicas');
  const count = `${name}: ${ready} of ${wanted} replicas are Ready.`;
  if (wanted > 0 && ready >= wanted) return good(check, count);
  const words = await readLastWords(reader, check);
  const message = words === '' ? count : `${count} One ended and said: ${words}`;
  const remedy = `kubectl -n ${namespace} describe pods -l app.kubernetes.io/component=${check}, and their logs, say why.`;
  return ready === 0 ? bad(check, message, remedy) : doubtful(check, message, remedy);
}

/** What a Pod of it said last before it ended; empty when none ended, or none can be looked at. */
async function readLastWords({ list, namespace }: ClusterReader, component: string): Promise<string> {
  const selector = encodeURIComponent(`app.kubernetes.io/part-of=stoker,app.kubernetes.io/component=${component}`);
  const pods = await list(`/api/v1/namespaces/${namespace}/pods?labelSelector=${selector}`);
  const containers =
    pods.type === 'found' ? pods.value.flatMap((pod) => listed(at(pod, 'status', 'containerStatuses'))) : [];
  const lines = containers
    .flatMap((one) => [
      textAt(one, 'state', 'terminated', 'message'),
      textAt(one, 'lastState', 'terminated', 'message'),
    ])
    .map((text) => text.trim().split('\n').at(-1) ?? '');
  return (lines.find((line) => line !== '') ?? '').slice(0, WORDS_CHARS_MAX);
}

/**
 * Whether somebody renews the Lease. A renewal that is seen proves it; clocks of machines do not. Waits for one as long as
 * the Lease holds.
 */
export async function checkLease(reader: ClusterReader, clock: Clock, signal: AbortSignal): Promise<Finding> {
  const check = 'leader';
  const path = `/apis/coordination.k8s.io/v1/namespaces/${reader.namespace}/leases/${LEASE}`;
  const first = await reader.one(path);
  if (first.type === 'refused') return skipped(check, first.sentence);
  const remedy = 'The log of the controller says why it does not lead.';
  if (first.type === 'absent') return bad(check, `No controller ever led: there is no Lease ${LEASE}.`, remedy);
  const holder = textAt(first.value, 'spec', 'holderIdentity');
  if (holder === '') return bad(check, 'The last controller that led gave the Lease back, and none took it.', remedy);
  const renewed = textAt(first.value, 'spec', 'renewTime');
  const seconds = numberAt(first.value, 'spec', 'leaseDurationSeconds') || LEASE_SECONDS_DEFAULT;
  const patienceMs = Math.min(seconds, LEASE_SECONDS_MAX) * 1000;
  const endMs = clock.nowMs() + patienceMs;
  while (clock.nowMs() < endMs) {
    await delay(clock, LEASE_LOOK_MS, signal);
    const next = await reader.one(path);
    if (next.type !== 'found' || textAt(next.value, 'spec', 'renewTime') === renewed) continue;
    return good(check, `${textAt(next.value, 'spec', 'holderIdentity')} leads and renews its Lease.`);
  }
  return bad(check, `${holder} holds the Lease and did not renew it for ${patienceMs / 1000} s.`, remedy);
}

/** Where routers and slots find the controller. */
export async function checkLink(reader: ClusterReader): Promise<Finding> {
  const check = 'link';
  const { namespace } = reader;
  const service = await reader.has(`/api/v1/namespaces/${namespace}/services/${LINK_SERVICE}`);
  if (service.type === 'refused') return skipped(check, service.sentence);
  const reinstall = 'The chart makes it: helm upgrade stoker charts/stoker.';
  if (service.type === 'absent') return bad(check, `There is no Service ${LINK_SERVICE}.`, reinstall);
  const slice = await reader.one(`/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices/${LINK_SERVICE}`);
  if (slice.type === 'refused') return skipped(check, slice.sentence);
  const endpoint = slice.type === 'found' ? listed(slice.value.endpoints)[0] : undefined;
  const address = endpoint === undefined ? undefined : listed(at(endpoint, 'addresses'))[0];
  if (typeof address !== 'string') {
    const remedy = 'The leader writes its address there: look at its log.';
    return bad(check, `Nobody is behind the Service ${LINK_SERVICE}, so routers and slots find no controller.`, remedy);
  }
  const pod = textAt(endpoint, 'targetRef', 'name');
  const found = await reader.one(`/api/v1/namespaces/${namespace}/pods/${pod}`);
  if (found.type === 'found' && textAt(found.value, 'status', 'podIP') !== address) {
    const remedy = 'It is mended by the next controller that leads; if it stays, look at its log.';
    return bad(check, `${LINK_SERVICE} leads to ${address}, which is not the address of ${pod}.`, remedy);
  }
  if (found.type === 'absent') {
    const remedy =
      'The next leader writes its own address within seconds; if it stays, look at the log of the controller.';
    return bad(check, `${LINK_SERVICE} leads to ${address} of ${pod}, a Pod that is gone.`, remedy);
  }
  return good(check, `${LINK_SERVICE} leads to ${pod} (${address}).`);
}

/** Everything that Pods name and cannot start without. */
export async function checkReferences(
  reader: ClusterReader,
  deployments: readonly Fields[],
  models: readonly Fields[],
): Promise<Finding[]> {
  const wanted = [...deployments.flatMap(referencesOf), ...models.flatMap(keyOfModel), ...made];
  const unique = [...new Map(wanted.map((one) => [`${one.plural}/${one.name}`, one])).values()];
  const findings: Finding[] = [];
  for (const { plural, name, remedy } of unique) {
    const found = await reader.has(`/api/v1/namespaces/${reader.namespace}/${plural}/${encodeURIComponent(name)}`);
    const check = plural === 'secrets' ? 'secret' : 'config map';
    if (found.type === 'found') findings.push(good(check, `${name} is there.`));
    else if (found.type === 'refused') findings.push(skipped(check, found.sentence));
    else findings.push(bad(check, `${name} is missing.`, remedy));
  }
  return findings;
}

interface Reference {
  readonly plural: 'secrets' | 'configmaps';
  readonly name: string;
  readonly remedy: string;
}

const made: readonly Reference[] = ['stoker-slot-keys', 'stoker-link-tls']
  .map(
    (name): Reference => ({
      plural: 'secrets',
      name,
      remedy: 'The controller makes it once it leads: look at its log.',
    }),
  )
  .concat([
    {
      plural: 'configmaps',
      name: LINK_CA_CONFIG_MAP,
      remedy: 'The controller makes it once it leads: look at its log.',
    },
  ]);

function referencesOf(deployment: Fields): Reference[] {
  const pod = at(deployment, 'spec', 'template', 'spec');
  const by = textAt(deployment, 'metadata', 'name');
  const remedy = `The Pods of ${by} do not start without it: make it, or give the chart another name.`;
  const volumes = listed(at(pod, 'volumes'));
  const mounted = volumes.flatMap((volume): [Reference['plural'], unknown, unknown][] => [
    ['secrets', at(volume, 'secret', 'secretName'), at(volume, 'secret', 'optional')],
    ['configmaps', at(volume, 'configMap', 'name'), at(volume, 'configMap', 'optional')],
  ]);
  const pulls = listed(at(pod, 'imagePullSecrets')).map((one) => ['secrets', at(one, 'name'), undefined] as const);
  return [...mounted, ...pulls].flatMap(([plural, name, optional]) =>
    typeof name === 'string' && optional !== true ? [{ plural, name, remedy }] : [],
  );
}

function keyOfModel(model: Fields): Reference[] {
  const name = textAt(model, 'spec', 'version', 'remote', 'apiKeySecretRef', 'name');
  const remedy = `The Model ${textAt(model, 'metadata', 'name')} reads its key from it: make it.`;
  return name === '' ? [] : [{ plural: 'secrets', name, remedy }];
}
