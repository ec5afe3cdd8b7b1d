// What kind of request it is and what that means for it: its one deadline, and whether it may be told that it waits.
// Today there is one class; hints in the headers only shorten its deadline.
import { type Deadline, type DeadlineLimits, planDeadline } from '../../core/route/deadline.ts';
import { type Call, headerOf } from '../call.ts';
import { Ending } from '../ending.ts';

export interface CallClass {
  readonly deadline: Deadline;
  /** False: nothing is sent before content, so that the status tells the outcome. */
  readonly progress: boolean;
}

/** The default class of DESIGN §8. */
export const defaultLimits: DeadlineLimits = { firstContentMs: 300_000, gapMs: 30_000, totalMs: 600_000 };

/** Throws an Ending when one of our own headers is wrong. */
export function classify(call: Call, stream: boolean, limits: DeadlineLimits): CallClass {
  const header = (name: string) => headerOf(call.head, name);
  const deadline = planDeadline(limits, {
    deadlineMs: header('x-stoker-deadline-ms'),
    stainlessTimeoutSeconds: header('x-stainless-timeout'),
    stainlessReadTimeoutSeconds: header('x-stainless-read-timeout'),
  });
  if (!deadline.ok) throw new Ending('invalid_request', deadline.error, { param: 'x-stoker-deadline-ms' });
  const progress = header('x-stoker-progress') ?? 'on';
  if (progress !== 'on' && progress !== 'off') {
    throw new Ending('invalid_request', 'x-stoker-progress must be on or off.', { param: 'x-stoker-progress' });
  }
  return { deadline: deadline.value, progress: stream && progress === 'on' };
}
