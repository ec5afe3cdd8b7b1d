// A policy made of one rule for each model: most scalers look at one deployment and know of no other. A rule sees a sample
// each second and decides at its own pace; in between, what was ordered stays.
import type { SimModel } from '../scenario.ts';
import type { ModelReading, Policy, PolicyFactory } from './policy.ts';

export interface ModelRule {
  readonly everyMs: number;
  sample?(reading: ModelReading, nowMs: number): void;
  /** How many to wake when nothing is; asked at every sample. Missing: the rule itself decides that too. */
  fromZero?(reading: ModelReading): number;
  decide(reading: ModelReading, nowMs: number): number;
}

export interface PolicyTiming {
  readonly name: string;
  /** Whether a request that finds nothing free is seen at once. */
  readonly isUrgent: boolean;
}

const SAMPLE_MS = 1000;
const URGENT_MS = 100;

export function perModelPolicy(timing: PolicyTiming, createRule: (model: SimModel) => ModelRule): PolicyFactory {
  return (models): Policy => {
    const deciders = new Map(models.map((model) => [model.name, createDecider(createRule(model))]));
    return {
      name: timing.name,
      everyMs: SAMPLE_MS,
      ...(timing.isUrgent ? { urgentMs: URGENT_MS } : {}),
      decide: ({ models: readings, nowMs }) =>
        new Map(
          readings.map((reading) => {
            const { name, minAwake, maxAwake } = reading.model;
            const desired = deciders.get(name)?.(reading, nowMs) ?? reading.ordered;
            return [name, { desired: Math.min(maxAwake, Math.max(minAwake, desired)) }];
          }),
        ),
    };
  };
}

function createDecider(rule: ModelRule): (reading: ModelReading, nowMs: number) => number {
  let dueMs = 0;
  return (reading, nowMs) => {
    rule.sample?.(reading, nowMs);
    if (reading.ordered === 0 && rule.fromZero !== undefined) return rule.fromZero(reading);
    if (nowMs < dueMs) return reading.ordered;
    dueMs = nowMs + rule.everyMs;
    return rule.decide(reading, nowMs);
  };
}
