// Which revision of a model answers and which one is on trial: a pure function of what is pinned and of how the candidate
// fares. The first pin answers at once; a later one has to prove itself with one probed instance. Never drops a stable one.

export interface LifecycleState {
  readonly stable?: string;
  readonly candidate?: string;
}

export interface LifecycleInput extends LifecycleState {
  /** The revision that the spec asks for. Undefined while it is being resolved, and when it cannot be. */
  readonly pinned: string | undefined;
  /** True when the spec asks for something that cannot be pinned. */
  readonly isPinRefused: boolean;
  /** Whether a revision has an instance that is awake and probed. */
  isProven(revision: string): boolean;
}

export interface LifecyclePlan {
  readonly state: LifecycleState;
  /** Set when a revision became the one that answers. */
  readonly promoted?: string;
  /** Set when a revision was put on trial. */
  readonly onTrial?: string;
}

export function planLifecycle(input: LifecycleInput): LifecyclePlan {
  const { stable, candidate, pinned } = input;
  if (pinned === undefined) {
    const kept = input.isPinRefused ? undefined : candidate;
    return {
      state: { ...(stable === undefined ? {} : { stable }), ...(kept === undefined ? {} : { candidate: kept }) },
    };
  }
  if (stable === undefined) return { state: { stable: pinned }, promoted: pinned };
  if (stable === pinned) return { state: { stable } };
  if (candidate === pinned && input.isProven(pinned)) return { state: { stable: pinned }, promoted: pinned };
  return {
    state: { stable, candidate: pinned },
    ...(candidate === pinned ? {} : { onTrial: pinned }),
  };
}
