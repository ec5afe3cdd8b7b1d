// Policies by the names that people type: `stoker`, `kpa-7`, `static-4`. A number after the name is the policy's target.
// The hindsight fleet (`static`) is no policy: it is found by trying (src/sim/hindsight.ts).
import { SetupError } from '../setup-error.ts';
import { hpaPolicy, kedaPolicy } from './hpa.ts';
import { kpaPolicy } from './kpa.ts';
import { lruSleepersPolicy } from './lru-sleepers.ts';
import type { PolicyFactory } from './policy.ts';
import { staticPolicy } from './static.ts';
import { dynamoPolicy, wvaPolicy } from './stepwise.ts';
import { stokerPolicy } from './stoker.ts';

interface Entry {
  readonly about: string;
  /** Taken when no number follows the name. Missing: the name takes none. */
  readonly target?: { readonly fallback: number; readonly unit: string };
  create(target: number): PolicyFactory;
}

export const policyCatalogue: Readonly<Record<string, Entry>> = {
  stoker: { about: 'work in replica-seconds, as the controller does it', create: () => stokerPolicy() },
  hpa: {
    about: 'Horizontal Pod Autoscaler on requests in flight',
    target: { fallback: 7, unit: 'requests in flight for one replica' },
    create: hpaPolicy,
  },
  keda: {
    about: 'KEDA on waiting requests',
    target: { fallback: 5, unit: 'waiting requests for one replica' },
    create: kedaPolicy,
  },
  kpa: {
    about: 'Knative on requests in flight',
    target: { fallback: 7, unit: 'requests in flight for one replica' },
    create: kpaPolicy,
  },
  wva: { about: 'llm-d, saturation of memory and queue, one replica at a time', create: () => wvaPolicy() },
  dynamo: { about: 'Dynamo planner, load mode, one replica at a time', create: () => dynamoPolicy() },
  'lru-sleepers': {
    about: 'wake on demand, sleep when idle, stop the least recently used',
    target: { fallback: 300, unit: 'idle seconds' },
    create: (seconds) => lruSleepersPolicy(seconds * 1000),
  },
};

const TARGET_MAX = 100_000;

export interface PolicyChoice {
  readonly name: string;
  /** Undefined: the fleet of fixed size that would have done. */
  readonly factory: PolicyFactory | undefined;
}

export function parsePolicies(text: string): PolicyChoice[] {
  const names = text.split(',').map((name) => name.trim());
  const choices = names.map((name) => ({ name, factory: name === 'static' ? undefined : parsePolicy(name) }));
  const seen = new Map<string, string>();
  for (const { name, factory } of choices) {
    // A name without its number is the same as with the usual one.
    const full = factory?.([]).name ?? name;
    const before = seen.get(full);
    if (before === name) throw new SetupError(`The policy ${name} is named twice.`);
    if (before !== undefined) throw new SetupError(`${before} and ${name} are the same policy. Name one of them.`);
    seen.set(full, name);
  }
  return choices;
}

function parsePolicy(text: string): PolicyFactory {
  const parts = /^(.+?)(?:-([0-9]+))?$/.exec(text);
  const [, name = '', number] = parts ?? [];
  const target = number === undefined ? undefined : Number(number);
  if (target !== undefined && (target < 1 || target > TARGET_MAX))
    throw new SetupError(`${text}: the number must be from 1 to ${TARGET_MAX}.`);
  if (name === 'static' && target !== undefined) return staticPolicy(target);
  const entry = Object.hasOwn(policyCatalogue, name) ? policyCatalogue[name] : undefined;
  if (entry === undefined) {
    const known = [...Object.keys(policyCatalogue), 'static', 'static-N'].join(', ');
    throw new SetupError(`There is no policy named ${text}. There are ${known}.`);
  }
  if (target !== undefined && entry.target === undefined) throw new SetupError(`${name} takes no number.`);
  return entry.create(target ?? entry.target?.fallback ?? 0);
}
