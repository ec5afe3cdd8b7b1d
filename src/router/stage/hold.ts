// While a request waits: a stream is told so, in comments; a silent caller is sent away before its patience ends; and each
// change of the table is looked at again. Sends no content and decides nothing about where the request goes.
import { firstProgressMs, type HoldState, progressBounds } from '../../core/route/progress.ts';
import type { Timer } from '../../lib/clock.ts';
import type { AnswerStream } from '../answer-sink.ts';
import {
  type AdmitOptions,
  admit,
  type Candidate,
  judgeAdmission,
  readWarmth,
  silentHoldLeftMs,
  warming,
} from './admit.ts';
import { notFound } from './choose.ts';

export interface Hold {
  /** The request was let go to an instance, or came back from one. */
  setAhead(ahead: (() => number) | undefined): void;
  /** The table changed while the request waits. */
  reconsider(): void;
  stop(): void;
}

export function holdStream(candidate: Candidate, stream: AnswerStream, options: AdmitOptions): Hold {
  const { call, model, queue, callClass } = candidate;
  const { clock, table } = options;
  let ahead: (() => number) | undefined;
  let timer: Timer | undefined;
  const readState = (): HoldState => {
    if (ahead === undefined) return { kind: 'Answering' };
    const { etaMs, hasEndpoint } = readWarmth(model.model, queue, table);
    if (hasEndpoint) return { kind: 'Busy', ahead: ahead() };
    return { kind: 'Cold', rung: table.current().warmth.get(model.model)?.rung, etaMs };
  };
  const tell = () => {
    if (stream.contentSent() || call.signal.aborted) return;
    stream.progress(model.servedName, readState());
    timer = clock.after(progressBounds.everyMs, tell);
  };
  const { etaMs, hasEndpoint } = readWarmth(model.model, queue, table);
  // A caller that waits only briefly for the head gets it in half that time.
  const firstMs = Math.min(firstProgressMs(!hasEndpoint, etaMs, progressBounds), callClass.deadline.headMs / 2);
  timer = clock.after(Math.max(0, call.acceptedMs + firstMs - clock.nowMs()), tell);
  return {
    setAhead(read) {
      ahead = read;
    },
    reconsider: () => reconsider(candidate, options),
    stop: () => timer?.cancel(),
  };
}

export function holdSilently(candidate: Candidate, options: AdmitOptions): Hold {
  const { call, model, queue } = candidate;
  const { clock, table } = options;
  let timer: Timer | undefined;
  let waits = false;
  const sendAway = () => {
    const { hasEndpoint, etaMs } = readWarmth(model.model, queue, table);
    if (!hasEndpoint) call.end(warming(candidate, etaMs));
  };
  // Each time anew: the one before may have passed while the request was at an instance, or while there was one.
  const look = () => {
    timer?.cancel();
    timer = undefined;
    if (!waits) return;
    reconsider(candidate, options);
    timer = clock.after(silentHoldLeftMs(call, options), sendAway);
  };
  return {
    setAhead(read) {
      waits = read !== undefined;
      look();
    },
    reconsider: look,
    stop: () => timer?.cancel(),
  };
}

function reconsider(candidate: Candidate, options: AdmitOptions): void {
  const { call, model, callClass } = candidate;
  if (!options.table.current().byModel.has(model.model)) {
    call.end(notFound(model.servedName));
    return;
  }
  // An estimate that grew sends nobody away who is being told about it.
  const admission = judgeAdmission(candidate, options);
  if (admission.kind === 'Warming' && callClass.progress) return;
  const ending = admit(candidate, options);
  if (ending !== undefined) call.end(ending);
}
