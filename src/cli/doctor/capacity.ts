// Checks of what slots need from the cluster: nodes with the accelerator of each Pool, and volumes that are bound. Counts what
// nodes have, not what is free at the moment: other Pods come and go. Only reads.
import { at, type ClusterReader, type Fields, fields, listed, numberAt, type Read, textAt } from './cluster-reader.ts';
import { bad, doubtful, type Finding, good, skipped } from './finding.ts';

export async function checkCapacity(reader: ClusterReader, pools: Read<readonly Fields[]>): Promise<Finding[]> {
  if (pools.type !== 'found' || pools.value.length === 0) return [];
  const nodes = await reader.list('/api/v1/nodes');
  if (nodes.type !== 'found') {
    return [skipped('nodes', 'You may not list nodes, so it is not known whether slots find room.')];
  }
  return pools.value.map((pool) => judgeRoom(pool, nodes.value));
}

/** Slots that the nodes could hold if nothing else ran on them. */
export function judgeRoom(pool: Fields, nodes: readonly Fields[]): Finding {
  const name = textAt(pool, 'metadata', 'name');
  const check = `nodes for ${name}`;
  const resource = textAt(pool, 'spec', 'accelerator', 'resourceName');
  const each = numberAt(pool, 'spec', 'accelerator', 'countPerSlot') || 1;
  const selector = fields(at(pool, 'spec', 'pod', 'nodeSelector'));
  const tolerations = listed(at(pool, 'spec', 'pod', 'tolerations'));
  const chosen = nodes.filter((node) => matches(node, selector));
  const usable = chosen.filter((node) => isOpen(node, tolerations));
  const slots = usable.reduce((sum, node) => sum + Math.floor(quantityOf(node, resource) / each), 0);
  const [min, max] = [numberAt(pool, 'spec', 'slots', 'min'), numberAt(pool, 'spec', 'slots', 'max')];
  const message = `${usable.length} of ${nodes.length} nodes can be used; they have room for ${slots} slots of ${each} ${resource} (min ${min}, max ${max}).`;
  if (slots >= max) return good(check, message);
  if (slots > 0 && slots >= min) {
    return doubtful(check, message, 'Add nodes, or lower slots.max: slots above it would wait for ever.');
  }
  return bad(check, message, remedyFor(chosen.length, usable.length, resource));
}

function remedyFor(chosen: number, usable: number, resource: string): string {
  if (chosen === 0) return 'No node has the labels of spec.pod.nodeSelector: label nodes, or change it.';
  if (usable === 0) return 'Every such node is cordoned, not Ready, or has a taint that spec.pod.tolerations lacks.';
  return `Add nodes with ${resource}; the device plugin of the vendor makes nodes offer it.`;
}

function matches(node: Fields, selector: Fields): boolean {
  return Object.entries(selector).every(([key, value]) => at(node, 'metadata', 'labels', key) === value);
}

function isOpen(node: Fields, tolerations: readonly unknown[]): boolean {
  if (at(node, 'spec', 'unschedulable') === true) return false;
  const ready = listed(at(node, 'status', 'conditions')).find((one) => at(one, 'type') === 'Ready');
  if (at(ready, 'status') !== 'True') return false;
  const taints = listed(at(node, 'spec', 'taints')).filter((taint) => at(taint, 'effect') !== 'PreferNoSchedule');
  return taints.every((taint) => tolerations.some((toleration) => tolerates(toleration, taint)));
}

function tolerates(toleration: unknown, taint: unknown): boolean {
  const [effect, key] = [at(toleration, 'effect'), at(toleration, 'key')];
  if (effect !== undefined && effect !== at(taint, 'effect')) return false;
  if (key === undefined) return at(toleration, 'operator') === 'Exists';
  if (key !== at(taint, 'key')) return false;
  return at(toleration, 'operator') === 'Exists' || textAt(toleration, 'value') === textAt(taint, 'value');
}

/** Extended resources are whole numbers. */
function quantityOf(node: Fields, resource: string): number {
  const count = Number(at(node, 'status', 'allocatable', resource) ?? 0);
  return Number.isSafeInteger(count) && count > 0 ? count : 0;
}

/** Claims that wait, and whether their class is there; and claims that a Pool names. */
export async function checkStorage(reader: ClusterReader, pools: Read<readonly Fields[]>): Promise<Finding[]> {
  const check = 'storage';
  const claims = await reader.list(`/api/v1/namespaces/${reader.namespace}/persistentvolumeclaims`);
  if (claims.type !== 'found') return [skipped(check, 'The claims of volumes cannot be listed.')];
  const absent = judgeAbsent(claims.value, pools.type === 'found' ? pools.value : []);
  if (claims.value.length === 0) return absent.length > 0 ? absent : [good(check, 'No volume is claimed here.')];
  const classes = await reader.list('/apis/storage.k8s.io/v1/storageclasses');
  const known =
    classes.type === 'found' ? new Set(classes.value.map((one) => textAt(one, 'metadata', 'name'))) : undefined;
  const waiting = claims.value.filter((claim) => at(claim, 'status', 'phase') !== 'Bound');
  if (waiting.length > 0) return [...absent, ...waiting.map((claim) => judgeClaim(claim, known))];
  return [...absent, good(check, `All of the ${claims.value.length} claimed volumes are bound.`)];
}

/** Slots of such a Pool wait for ever. */
function judgeAbsent(claims: readonly Fields[], pools: readonly Fields[]): Finding[] {
  const there = new Set(claims.map((claim) => textAt(claim, 'metadata', 'name')));
  const wanted = pools.flatMap((pool) => ['weights', 'compileCache'].map((field) => ({ pool, field })));
  return wanted.flatMap(({ pool, field }) => {
    const claim = textAt(pool, 'spec', field, 'claimName');
    if (claim === '' || there.has(claim)) return [];
    const message = `The Pool ${textAt(pool, 'metadata', 'name')} names the volume claim ${claim}, which is not there.`;
    return [bad('storage', message, `Make the claim, or change spec.${field}.claimName.`)];
  });
}

function judgeClaim(claim: Fields, known: ReadonlySet<string> | undefined): Finding {
  const name = textAt(claim, 'metadata', 'name');
  const wanted = textAt(claim, 'spec', 'storageClassName');
  if (wanted !== '' && known?.has(wanted) === false) {
    return bad(
      'storage',
      `${name} wants the storage class ${wanted}, which is not there.`,
      'Name one of `kubectl get storageclass`.',
    );
  }
  const remedy = `kubectl describe pvc ${name} says why. Some classes bind once a Pod uses the claim.`;
  return doubtful('storage', `${name} is not bound${wanted === '' ? ' and names no storage class' : ''}.`, remedy);
}
