// Which endpoint takes the next request of a model: filter, score, pick. The least of prompts to read first, then free share, then
// least in flight. Never picks one without a free share: the agent would refuse it. Who would wait there behind two steps of
// prompts waits here instead, where whoever is free first takes it, and the controller sees it.
import type { RoutedEndpoint } from './table.ts';

export interface EndpointState {
  readonly endpoint: RoutedEndpoint;
  readonly inFlight: number;
  /** Estimated prompt tokens that it has taken and not begun to answer. */
  readonly unreadTokens: number;
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

/**
 * Two steps of an engine, about. Prompts count whole until their first content, so half of what is counted has been read on
 * average. With one step the Azure code trace costs 5 % more at an objective of 2 s.
 */
export const UNREAD_TOKENS_MAX = 4096;

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
  return freeShare(state) > 0 && state.blockedUntilMs <= nowMs && mayReadMore(state);
}

/** An upstream reads by its own lights, and nobody sees with what. */
function mayReadMore({ endpoint, inFlight, unreadTokens }: EndpointState): boolean {
  return endpoint.remote !== undefined || inFlight === 0 || unreadTokens < UNREAD_TOKENS_MAX;
}

function freeShare(state: EndpointState): number {
  return state.endpoint.share - state.inFlight;
}

function isBetter(state: EndpointState, best: EndpointState | undefined): boolean {
  if (best === undefined) return true;
  const unread = state.unreadTokens - best.unreadTokens;
  if (unread !== 0) return unread < 0;
  const free = freeShare(state) - freeShare(best);
  return free === 0 ? state.inFlight < best.inFlight : free > 0;
}
