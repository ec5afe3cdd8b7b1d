// The objects that are there from the start: the namespace `default`, and the ServiceAccounts that Pods run as. On a
// cluster they come from Kubernetes and from the chart.
import { uuid } from '../../lib/ids.ts';
import type { ApiObject } from './definition.ts';
import { renderTime } from './object-form.ts';
import type { Transaction } from './object-store.ts';

const NAMESPACE = 'default';
/** `default` of every namespace comes from the collector. */
const SERVICE_ACCOUNTS = ['stoker-slot', 'stoker-router'] as const;

export function ensureStartingObjects(transaction: Transaction, wallMs: number): void {
  const place = { kind: 'namespaces', namespace: '', name: NAMESPACE };
  if (transaction.get(place) === undefined) {
    const labels = { 'kubernetes.io/metadata.name': NAMESPACE };
    transaction.put(place, {
      ...frame('Namespace', { name: NAMESPACE, labels }, wallMs),
      spec: { finalizers: ['kubernetes'] },
      status: { phase: 'Active' },
    });
  }
  for (const name of SERVICE_ACCOUNTS) ensureServiceAccount(transaction, { namespace: NAMESPACE, name, wallMs });
}

export function ensureServiceAccount(
  transaction: Transaction,
  { namespace, name, wallMs }: { namespace: string; name: string; wallMs: number },
): void {
  const place = { kind: 'serviceaccounts', namespace, name };
  if (transaction.get(place) !== undefined) return;
  transaction.put(place, frame('ServiceAccount', { name, namespace }, wallMs));
}

function frame(
  kind: string,
  metadata: { name: string; namespace?: string; labels?: Readonly<Record<string, string>> },
  wallMs: number,
): ApiObject {
  const made = { uid: uuid(), resourceVersion: '', creationTimestamp: renderTime(wallMs) };
  return { apiVersion: 'v1', kind, metadata: { ...metadata, ...made } };
}
