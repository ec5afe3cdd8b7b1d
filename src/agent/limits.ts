// Every bound of the agent, by name and with its default.
import type { SleepBudget } from './sleep-budget.ts';

export interface AgentLimits extends SleepBudget {
  /** A start, from spawn to loaded. */
  readonly startMsMax: number;
  readonly wakeMsMax: number;
  readonly sleepMsMax: number;
  readonly probeMsMax: number;
  /** How far a log-probability of the probe may be from the expected one (natural logarithm). */
  readonly probeToleranceNats: number;
  /** SIGTERM to SIGKILL when an engine is stopped. */
  readonly stopGraceMs: number;
  /** The first retry after a failure waits at most this long, each further one twice as long, up to the cap. */
  readonly retryMsBase: number;
  readonly retryMsMax: number;
  /** An engine that served this long starts its back-off anew when it fails. */
  readonly steadyMs: number;
  /** How often an engine is asked whether it still answers, and for its memory. */
  readonly vitalsEveryMs: number;
  /** An engine that does not answer this many times in a row is ended and started again. */
  readonly vitalsMissesMax: number;
  /** Changes are reported together, at most this much later. */
  readonly reportWithinMs: number;
  /** A report is sent at least this often. */
  readonly reportEveryMs: number;
  /** After SIGTERM requests are accepted until every router has let go, or for this long. */
  readonly withdrawMsMax: number;
}

export const agentLimits: AgentLimits = {
  startMsMax: 600_000,
  wakeMsMax: 120_000,
  sleepMsMax: 30_000,
  probeMsMax: 30_000,
  probeToleranceNats: 0.05,
  stopGraceMs: 3000,
  retryMsBase: 1000,
  retryMsMax: 60_000,
  steadyMs: 60_000,
  vitalsEveryMs: 5000,
  vitalsMissesMax: 6,
  reportWithinMs: 20,
  reportEveryMs: 1000,
  withdrawMsMax: 5000,
  sleepsMax: 200,
  sleepGrowthBytesMax: 512 * 1024 ** 2,
};
