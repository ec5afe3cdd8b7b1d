// What an attempt's end means for its request: it is served, goes back to its queue, is tried again, or has failed. Pure,
// but for the retry that it takes from the budget.
import type { Refusal } from '../../api/data-path.ts';
import { type OutcomeCode, outcomeCodes } from '../../api/outcomes.ts';
import { Ending } from '../ending.ts';

export type AttemptEnd =
  /** The whole answer has gone out. */
  | { readonly kind: 'Answered' }
  /** The agent did not take it: no attempt, no failure. */
  | { readonly kind: 'Refused'; readonly refusal: Refusal }
  /** Nobody listens at the agent's address: the request never got there. No attempt; the endpoint is left alone for a while. */
  | { readonly kind: 'Unreached' }
  /** The request itself is wrong: the engine says so, or its answer is larger than one may be. */
  | { readonly kind: 'Declined'; readonly status: number; readonly body: Uint8Array; readonly code: string }
  /** An upstream takes no more requests for this long: no attempt, no failure. */
  | { readonly kind: 'Limited'; readonly waitMs: number }
  | {
      readonly kind: 'Failed';
      readonly code: OutcomeCode;
      readonly message: string;
      /** Trying again would change nothing. */
      readonly isFinal?: true;
      readonly headers?: Readonly<Record<string, string>>;
    };

export type Verdict =
  | { readonly kind: 'Accept' }
  | { readonly kind: 'PutBack'; readonly refusal?: Refusal }
  | { readonly kind: 'Retry' }
  | { readonly kind: 'Fail'; readonly ending: Ending };

export interface JudgeFacts {
  readonly contentSent: boolean;
  readonly attempts: number;
  readonly attemptsMax: number;
  /** Takes one retry from the router's budget; false when it is spent. */
  spendRetry(): boolean;
}

export function judge(end: AttemptEnd, facts: JudgeFacts): Verdict {
  switch (end.kind) {
    case 'Answered':
      return { kind: 'Accept' };
    case 'Refused':
      return { kind: 'PutBack', refusal: end.refusal };
    case 'Unreached':
    case 'Limited':
      return { kind: 'PutBack' };
    case 'Declined':
      return { kind: 'Fail', ending: declined(end) };
    case 'Failed': {
      const isOver = end.code === 'deadline_exceeded' || end.isFinal === true;
      const mayRetry = !isOver && !facts.contentSent && facts.attempts < facts.attemptsMax;
      if (mayRetry && facts.spendRetry()) return { kind: 'Retry' };
      const { headers } = end;
      return { kind: 'Fail', ending: new Ending(end.code, end.message, headers === undefined ? {} : { headers }) };
    }
  }
}

function declined({ status, body, code }: Extract<AttemptEnd, { kind: 'Declined' }>): Ending {
  return new Ending(isOutcomeCode(code) ? code : 'invalid_request', 'The engine refused the request.', {
    passed: { status, body },
  });
}

/** The code of an engine's error as one of ours; upstream_failed when it is none. */
export function failureCodeOf(code: string): OutcomeCode {
  return code === 'deadline_exceeded' || code === 'upstream_garbled' ? code : 'upstream_failed';
}

function isOutcomeCode(code: string): code is OutcomeCode {
  return (outcomeCodes as readonly string[]).includes(code);
}
