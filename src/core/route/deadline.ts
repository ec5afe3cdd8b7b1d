// The one deadline of a request: its class sets it, hints in the caller's headers can only shorten it.
// Everything is a duration from the moment the request was accepted; nothing here reads a clock.
import { fail, ok, type Result } from '../../lib/result.ts';

export interface Deadline {
  /** Time to the response's head. Never longer than the first content. */
  readonly headMs: number;
  /** Time to the first content of a stream, or to the start of a JSON answer's attempt. */
  readonly firstContentMs: number;
  /** Longest silence of the upstream once content came. */
  readonly gapMs: number;
  readonly totalMs: number;
}

/** Header values as they came; undefined when there was none. */
export interface DeadlineHints {
  /** x-stoker-deadline-ms: bounds the total. */
  readonly deadlineMs: string | undefined;
  /** X-Stainless-Timeout, seconds: how long the official clients wait for the head. */
  readonly stainlessTimeoutSeconds: string | undefined;
  /** X-Stainless-Read-Timeout, seconds: how long they bear silence. */
  readonly stainlessReadTimeoutSeconds: string | undefined;
}

export interface DeadlineLimits {
  readonly firstContentMs: number;
  readonly gapMs: number;
  readonly totalMs: number;
}

/** Fails with a sentence when our own header is wrong; hints of other clients that cannot be read are ignored. */
export function planDeadline(limits: DeadlineLimits, hints: DeadlineHints): Result<Deadline, string> {
  const asked = hints.deadlineMs === undefined ? Number.POSITIVE_INFINITY : parseMs(hints.deadlineMs);
  if (asked === undefined) return fail('x-stoker-deadline-ms must be a whole number of milliseconds of at least 1.');
  const totalMs = Math.min(limits.totalMs, asked);
  const firstContentMs = Math.min(limits.firstContentMs, totalMs);
  const silenceMs = parseSeconds(hints.stainlessReadTimeoutSeconds);
  const headMs = Math.min(totalMs, parseSeconds(hints.stainlessTimeoutSeconds), silenceMs);
  return ok({ headMs, firstContentMs, gapMs: Math.min(limits.gapMs, silenceMs), totalMs });
}

function parseMs(text: string): number | undefined {
  return /^[1-9][0-9]{0,11}$/.test(text.trim()) ? Number(text) : undefined;
}

function parseSeconds(text: string | undefined): number {
  if (text === undefined || !/^[0-9]{1,9}(\.[0-9]{1,9})?$/.test(text.trim())) return Number.POSITIVE_INFINITY;
  const ms = Math.floor(Number(text) * 1000);
  return ms > 0 ? ms : Number.POSITIVE_INFINITY;
}
