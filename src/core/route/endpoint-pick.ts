// Which endpoint takes the next request of a model: filter, score, pick. Free share first, then least in flight.
// Never picks one without a free share: the agent would refuse it.
import type { RoutedEndpoint } from './table.ts';

export interface EndpointState {
  readonly endpoint: RoutedEndpoint;
  readonly inFlight: number;
  /** Not to be used before this moment (a refusal or a failure); 0 when it may be used. */
  readonly blockedUntilMs: number;
}

export interface PickContext {
  readonly nowMs: number;
  /** The revision that new requests get; others of the model are used only when it has no endpoint at all. */
  readonly stableRevision: string | undefined;
  /** Instances that failed this request before. Used again only when no other one has room. */
  readonly failed: ReadonlySet<string>;
}

/** Undefined: the request waits. */
export function pickEndpoint(states: readonly EndpointState[], context: PickContext): RoutedEndpoint | undefined {
  const stable = states.filter((state) => state.endpoint.revision === context.stableRevision);
  const routed = stable.length > 0 ? stable : states;
  const usable = routed.filter((state) => isUsable(state, context.nowMs));
  const fresh = usable.filter((state) => !context.failed.has(state.endpoint.instance));
  return (fresh.length > 0 ? fresh : usable).reduce<EndpointState | undefined>(
    (best, state) => (isBetter(state, best) ? state : best),
    undefined,
  )?.endpoint;
}

function isUsable(state: EndpointState, nowMs: number): boolean {
  return freeShare(state) > 0 && state.blockedUntilMs <= nowMs;
}

function freeShare(state: EndpointState): number {
  return state.endpoint.share - state.inFlight;
}

function isBetter(state: EndpointState, best: EndpointState | undefined): boolean {
  if (best === undefined) return true;
  const free = freeShare(state) - freeShare(best);
  return free === 0 ? state.inFlight < best.inFlight : free > 0;
}
