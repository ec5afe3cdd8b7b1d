// What the node has, what its Pods take, and whether one more fits. Pure; exact in thousandths, so that 0.1 and 0.2 are 0.3.
import type { Pod } from '../../api/kinds.ts';
import { fail, ok, type Result } from '../../lib/result.ts';
import { type Milli, parseQuantity, renderBytes, renderQuantity } from '../../lib/units.ts';

export type Amounts = ReadonlyMap<string, Milli>;

/** Reads `{cpu: '4', memory: '8Gi'}`. Throws with the name of what is no quantity. */
export function parseCapacity(capacity: Readonly<Record<string, string>>): Amounts {
  return new Map(
    Object.entries(capacity).map(([name, text]) => {
      const amount = parseQuantity(text);
      if (amount === undefined) throw new Error(`The capacity of ${name} cannot be "${text}": that is no quantity.`);
      return [name, amount];
    }),
  );
}

/** What the Pod asks for, all containers together. A limit without a request is its request, as in Kubernetes. */
export function podRequests(pod: Pod): Result<Amounts, string> {
  const total = new Map<string, Milli>();
  for (const { name: container, resources } of pod.spec.containers) {
    for (const [name, text] of Object.entries({ ...resources?.limits, ...resources?.requests })) {
      const amount = parseQuantity(text);
      if (amount === undefined)
        return fail(`Container ${container} asks for "${text}" of ${name}: that is no quantity.`);
      total.set(name, (total.get(name) ?? 0n) + amount);
    }
  }
  return ok(total);
}

/** Undefined when `wanted` fits beside what is taken; otherwise the sentence with the arithmetic. */
export function refuseFit(capacity: Amounts, taken: readonly Amounts[], wanted: Amounts): string | undefined {
  const missing = [...wanted].flatMap(([name, amount]) => {
    const has = capacity.get(name) ?? 0n;
    const used = taken.reduce((sum, amounts) => sum + (amounts.get(name) ?? 0n), 0n);
    if (amount === 0n || used + amount <= has) return [];
    if (has === 0n) return [`the node has no ${name}, and ${show(name, amount)} is asked for`];
    return [`of ${show(name, has)} ${name}, ${show(name, used)} is taken and ${show(name, amount)} is asked for`];
  });
  return missing.length === 0 ? undefined : `The Pod does not fit: ${missing.join('; ')}.`;
}

function show(name: string, amount: Milli): string {
  return name === 'memory' ? renderBytes(Number(amount / 1000n)) : renderQuantity(amount);
}
