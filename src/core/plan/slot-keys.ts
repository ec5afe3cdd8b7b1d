// How one slot moves from a version of its key to the next without a refused request (DESIGN §11): the agent accepts both,
// then tables carry the new one, then every router routes by such a table and what it sent before has come in, then the agent
// drops the old one.
// Knows versions only, never a key.

export interface KeyState {
  /** The version that routing tables carry for the slot. */
  readonly carried: number;
  /** Versions that routers may still show. At most one, but for what a controller finds that has just begun to lead. */
  readonly retiring: readonly number[];
}

export interface KeyFacts {
  /** The version that all slots move to. */
  readonly wanted: number;
  /** What the agent said that it accepts; empty while it has said nothing. */
  readonly accepted: readonly number[];
}

/** An agent accepts no more than this: the link has room for four versions. */
const RETIRING_MAX = 2;

/** Where a slot stands that nothing is known of but what its agent accepts. */
export function beginKeys({ wanted, accepted }: KeyFacts): KeyState {
  const known = accepted.filter((version) => version <= wanted).sort((a, b) => b - a);
  const [carried = wanted, ...retiring] = known;
  return { carried, retiring: retiring.slice(0, RETIRING_MAX) };
}

/** One step, or the same state when it has to wait. `areRoutersOn`: no request of a live router shows another version than the carried one. */
export function stepKeys(state: KeyState, facts: KeyFacts & { readonly areRoutersOn: boolean }): KeyState {
  const { carried, retiring } = state;
  if (retiring.length > 0) return facts.areRoutersOn ? { carried, retiring: [] } : state;
  const isReady = facts.wanted > carried && facts.accepted.includes(facts.wanted);
  return isReady ? { carried: facts.wanted, retiring: [carried] } : state;
}

/** What the agent is told to accept. One change at a time: the next version is offered when the last change is over. */
export function listAccepted({ carried, retiring }: KeyState, wanted: number): number[] {
  const offered = retiring.length === 0 && wanted > carried ? [wanted] : [];
  return [...retiring, carried, ...offered].sort((a, b) => a - b);
}

/** True while the slot has not come to the wanted version, or still accepts an older one. */
export function isChanging({ carried, retiring }: KeyState, wanted: number): boolean {
  return carried !== wanted || retiring.length > 0;
}
