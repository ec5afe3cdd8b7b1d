// What becomes of the link's authority: kept, joined by its successor, or replaced by it. A successor is trusted a while
// before it signs, so that every spoke has read it by then. Pure.

const DAY_MS = 86_400_000;
/** The successor comes when this share of the life is left. */
const LEFT_SHARE = 0.2;
/** The kubelet takes a minute or two to bring a changed ConfigMap into Pods. */
export const TRUST_BEFORE_USE_MS = DAY_MS;

export interface AuthorityAge {
  readonly fromMs: number;
  readonly untilMs: number;
}

export type AuthorityStep = 'Keep' | 'MakeFirst' | 'MakeNext' | 'UseNext';

/** `current` undefined: there is none that can be used. */
export function planAuthority(
  current: AuthorityAge | undefined,
  next: AuthorityAge | undefined,
  nowMs: number,
): AuthorityStep {
  if (current === undefined || current.untilMs <= nowMs) return next === undefined ? 'MakeFirst' : 'UseNext';
  if (next !== undefined) return nowMs - next.fromMs >= TRUST_BEFORE_USE_MS ? 'UseNext' : 'Keep';
  const leftMs = current.untilMs - nowMs;
  return leftMs < LEFT_SHARE * (current.untilMs - current.fromMs) ? 'MakeNext' : 'Keep';
}
