// The linter of scaling: what no order of a planner may do, whatever it was made from. An order with a finding is not carried out:
// what is awake stays, within the model's own limits. Judges only, and says what it keeps instead.
import type { FleetInput, ModelOrder } from '../plan/pool/fleet-planner.ts';
import type { ScalerInput } from '../plan/scale/scaler.ts';
import { scaleDefaults } from '../plan/scale/settings.ts';

export type OrderRule = 'BeyondMax' | 'BelowMin' | 'LoweredOnOldNews' | 'NoNumber';

export interface OrderFinding {
  readonly model: string;
  readonly rule: OrderRule;
  readonly sentence: string;
}

type Ordered = Pick<ModelOrder, 'desired' | 'coldMax' | 'pressing'>;

export function checkOrders(input: FleetInput, orders: ReadonlyMap<string, Ordered>): OrderFinding[] {
  return [...orders].flatMap(([model, order]) => {
    const asked = input.models.get(model);
    const found = asked === undefined ? undefined : findFault(asked, order);
    return found === undefined ? [] : [{ model, rule: found[0], sentence: `${model}: ${found[1]}` }];
  });
}

function findFault(input: ScalerInput, { desired, coldMax, pressing }: Ordered): [OrderRule, string] | undefined {
  const { min, max, ordered, signalAgeMs } = input;
  if (![desired, coldMax, pressing].every((figure) => Number.isInteger(figure) && figure >= 0))
    return ['NoNumber', `it orders ${desired} awake, ${coldMax} from nothing and ${pressing} for work that waits`];
  if (desired > max) return ['BeyondMax', `${desired} would be awake, and maxAwake is ${max}`];
  if (signalAgeMs > scaleDefaults.holdAfterMs)
    return desired < Math.min(ordered, max)
      ? ['LoweredOnOldNews', `${desired} of ${ordered} would be awake, and a router has been silent for too long`]
      : undefined;
  // Fewer than the least may be awake while more come up, but fewer may never be wanted.
  return desired < Math.min(min, max) ? ['BelowMin', `${desired} would be awake, and minAwake is ${min}`] : undefined;
}

/** What is carried out instead of an order with a finding. */
export function keepAsItIs({ min, max, ordered }: ScalerInput): Ordered {
  const desired = Math.min(max, Math.max(min, ordered));
  return { desired, coldMax: desired, pressing: Math.min(min, desired) };
}
