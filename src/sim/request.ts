// What a trace holds and what becomes of it: requests with their times and lengths. Plain data, no text of any prompt.
// Times are milliseconds since the trace began.

export interface TraceRequest {
  readonly atMs: number;
  readonly model: string;
  readonly promptTokens: number;
  readonly outputTokens: number;
}

export interface Trace {
  readonly name: string;
  /** In order of time; the first one is at 0 or later. */
  readonly requests: readonly TraceRequest[];
}

/** A request on its way through the simulated fleet. */
export interface SimRequest extends TraceRequest {
  /** Prompt tokens that no replica has read yet. */
  promptLeft: number;
  firstTokenMs: number | undefined;
  doneMs: number | undefined;
  /** Whether the model had nothing awake when it came, and what it was woken from. */
  metBy: 'Awake' | 'Asleep' | 'Staged' | undefined;
}

export function createSimRequest(request: TraceRequest): SimRequest {
  const { promptTokens } = request;
  return {
    ...request,
    promptLeft: Math.max(1, promptTokens),
    firstTokenMs: undefined,
    doneMs: undefined,
    metBy: undefined,
  };
}

/** Its engine went away: all of its prompt has to be read again. What was seen by then stays seen. */
export function startOver(request: SimRequest): void {
  request.promptLeft = Math.max(1, request.promptTokens);
}
