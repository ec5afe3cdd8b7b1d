// Whether an objective for the first token can be kept at all, by what was measured: no plan makes a climb faster. Pure.
// Says nothing of requests that find an instance awake: those are what scaling is for.

export interface ObjectiveFacts {
  readonly firstTokenMillis: number;
  readonly minAwake: number;
  /** How long the climb to awake took lately: a wake, or a start of what never sleeps. Undefined: none was seen. */
  readonly climbMs: number | undefined;
  readonly from: 'Asleep' | 'Staged';
  /** Time between a request and the decision about it, at most. */
  readonly lagMs: number;
}

export interface ObjectiveBound {
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: 'Possible' | 'Impossible' | 'Unmeasured';
  readonly message: string;
}

export function judgeObjective(facts: ObjectiveFacts): ObjectiveBound {
  const { firstTokenMillis, minAwake, climbMs, from, lagMs } = facts;
  const climb = from === 'Asleep' ? 'wake' : 'start';
  if (minAwake > 0)
    return {
      status: 'True',
      reason: 'Possible',
      message: 'One instance stays awake, so no first request waits for a climb.',
    };
  if (climbMs === undefined)
    return { status: 'Unknown', reason: 'Unmeasured', message: `No ${climb} of this version was measured yet.` };
  if (climbMs + lagMs <= firstTokenMillis)
    return { status: 'True', reason: 'Possible', message: `A ${climb} fits into the objective, by what was measured.` };
  const sum = `a ${climb} takes ${seconds(climbMs)} by what was measured, and until it is ordered ${seconds(lagMs)} may pass`;
  const remedy = 'Keep one awake (scaling.minAwake: 1) or raise it.';
  const message = `It cannot be met by requests that find nothing awake: ${sum}; the objective is ${seconds(firstTokenMillis)}. ${remedy}`;
  return { status: 'False', reason: 'Impossible', message };
}

/** Two digits: the sentence does not change with every climb. */
function seconds(ms: number): string {
  return `${Number((ms / 1000).toPrecision(2))} s`;
}
