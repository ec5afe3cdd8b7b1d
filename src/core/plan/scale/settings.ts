// The figures that scaling goes by, with their defaults: scaling.md §2.3 has the measurements behind each; only the down window
// is shorter, which costs nothing on the four traces. One setting is meant for all workloads. Durations in milliseconds, shares
// from 0 to 1.

export interface ScaleSettings {
  /** Use of a replica that is aimed at over the slow window, and at most over the fast one. */
  readonly steadyUse: number;
  readonly fastUse: number;
  /** Share of the time to first token that a request may wait, when a wake fits into that time and when it does not. */
  readonly waitShare: number;
  readonly waitShareShort: number;
  /** Rank of the prompt work that has to be met by what is awake already. */
  readonly headroomRank: number;
  readonly fastMs: number;
  readonly slowMs: number;
  readonly baseHoldMs: number;
  /** The largest need of this long keeps what is awake. */
  readonly downMs: number;
  /** Then one goes after the other, this far apart. */
  readonly downEveryMs: number;
  /** Something stays awake this long after the last request. */
  readonly keepAliveMs: number;
  /** A need this much above what there is changes nothing. */
  readonly tolerance: number;
  /** Signals older than this lower nothing; older than the second, only the floor counts. */
  readonly holdAfterMs: number;
  readonly floorAfterMs: number;
  /** Starts from nothing in a minute: this many, or this share of the base if that is more. */
  readonly coldPerMinute: number;
  readonly coldShare: number;
}

export const scaleDefaults: ScaleSettings = {
  steadyUse: 0.82,
  fastUse: 0.95,
  waitShare: 0.6,
  waitShareShort: 0.3,
  headroomRank: 0.99,
  fastMs: 15_000,
  slowMs: 120_000,
  baseHoldMs: 180_000,
  downMs: 30_000,
  downEveryMs: 1000,
  keepAliveMs: 30_000,
  tolerance: 0.15,
  holdAfterMs: 5000,
  floorAfterMs: 60_000,
  coldPerMinute: 2,
  coldShare: 0.5,
};

/** News of a request reaches the decision within this time (DESIGN §1.3). */
export const DECISION_LAG_MS = 100;
/** What Model.spec.scaling.firstTokenMillis may say otherwise. */
export const FIRST_TOKEN_MS_DEFAULT = 5000;
/** The pace of an answer that a batch must keep. */
export const TOKEN_GAP_MS_MAX = 100;

/** The rank of Model.spec.scaling.headroom (scaling.md §2.3). */
export const headroomRanks = { Economy: 0.95, Standard: scaleDefaults.headroomRank, Strict: 0.999 } as const;
