// The network path from routers to slots, by what the routers count: how many requests reached a slot and how many did not.
// No probe is sent, so before the first request nothing is known, and that is what it says then.
import { at, type ClusterReader, type Fields, listed, textAt } from './cluster-reader.ts';
import { bad, doubtful, type Finding, good, skipped } from './finding.ts';

const ADMIN_PORT = 8081;
const CHECK = 'routers to slots';
const POLICY =
  'Look at the NetworkPolicies of the namespace and of the Pools: routers must reach port 8000 of slots, and the addresses of remote models (networkPolicy.upstreamsTo and upstreamPorts of the chart).';

export async function checkDataPath(reader: ClusterReader): Promise<Finding> {
  const selector = encodeURIComponent('app.kubernetes.io/part-of=stoker,app.kubernetes.io/component=router');
  const pods = await reader.list(`/api/v1/namespaces/${reader.namespace}/pods?labelSelector=${selector}`);
  if (pods.type !== 'found') return skipped(CHECK, 'The Pods of routers cannot be listed.');
  const counts: Attempts[] = [];
  for (const pod of pods.value.filter(isReady)) {
    const path = `/api/v1/namespaces/${reader.namespace}/pods/${textAt(pod, 'metadata', 'name')}:${ADMIN_PORT}/proxy/metrics`;
    const metrics = await reader.text(path);
    if (metrics.type === 'found') counts.push(countAttempts(metrics.value));
  }
  if (counts.length === 0) {
    return skipped(
      CHECK,
      'No router could be asked for its figures (that needs a Ready router, and the right pods/proxy).',
    );
  }
  return judgeAttempts(counts);
}

export interface Attempts {
  readonly reached: number;
  readonly unreached: number;
}

/** Reads stoker_attempts_total from the text format. */
export function countAttempts(metrics: string): Attempts {
  let [reached, unreached] = [0, 0];
  for (const [, labels = '', value = ''] of metrics.matchAll(/^stoker_attempts_total\{([^}\n]*)\} (\d+)/gm)) {
    if (labels.includes('end="Unreached"')) unreached += Number(value);
    else reached += Number(value);
  }
  return { reached, unreached };
}

export function judgeAttempts(counts: readonly Attempts[]): Finding {
  const reached = counts.reduce((sum, one) => sum + one.reached, 0);
  const unreached = counts.reduce((sum, one) => sum + one.unreached, 0);
  if (reached + unreached === 0)
    return skipped(CHECK, 'No request was sent to a slot yet, so nothing is known of the path.');
  const message = `${reached} requests reached a slot, ${unreached} did not (since the routers started).`;
  if (counts.some((one) => one.reached === 0 && one.unreached > 0)) return bad(CHECK, message, POLICY);
  return unreached === 0 ? good(CHECK, message) : doubtful(CHECK, message, `A slot that goes is one reason. ${POLICY}`);
}

function isReady(pod: Fields): boolean {
  return listed(at(pod, 'status', 'conditions')).some(
    (condition) => at(condition, 'type') === 'Ready' && at(condition, 'status') === 'True',
  );
}
