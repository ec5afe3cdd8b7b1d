// POST /v1/chat/completions: the stages of DESIGN §8 in their order. Each one either goes on or throws an Ending; what is
// done with it is the business of whoever called.

import { RETRY_AFTER_MS_MAX } from '../core/route/admission.ts';
import { applyEdits } from '../core/route/body-edits.ts';
import { estimateTokens } from '../core/route/segment.ts';
import type { Call } from './call.ts';
import type { RouterContext } from './context.ts';
import { Ending, endingOf } from './ending.ts';
import { placeKey } from './queue/kept-places.ts';
import { admit, type Candidate } from './stage/admit.ts';
import { choose } from './stage/choose.ts';
import { classify, defaultLimits } from './stage/classify.ts';
import { type DeadlineWatch, watchDeadline } from './stage/deadline-watch.ts';
import { limit } from './stage/limit.ts';
import type { ParsedChat } from './stage/parse.ts';
import { serveQueued } from './stage/serve-queued.ts';

/** Of an answer that the caller did not bound: only for weighing requests against each other. */
const ANSWER_TOKENS_GUESS = 256;

/** Resolves when the whole answer has gone out. Throws an Ending. */
export async function serveChat(call: Call, context: RouterContext): Promise<void> {
  const bytes = await limit(call, context);
  const parsed = await context.parser.parse(bytes);
  if (!parsed.ok) throw new Ending('invalid_request', parsed.error.message, { param: parsed.error.param });
  const { fields } = parsed.value;
  call.record.stream = fields.stream;
  const callClass = classify(call, fields.stream, defaultLimits);
  const watch = watchDeadline(call, callClass.deadline, context.clock);
  try {
    const model = await choose(call, fields.model, { ...context, tableWaitMsMax: context.bounds.tableWaitMsMax });
    const candidate = { call, model, callClass, queue: context.queues.of(model.model) };
    await serveCandidate(candidate, context, { bytes, parsed: parsed.value, watch });
  } finally {
    watch.cancel();
  }
}

interface ChatWork {
  readonly bytes: Buffer;
  readonly parsed: ParsedChat;
  readonly watch: DeadlineWatch;
}

async function serveCandidate(candidate: Candidate, context: RouterContext, work: ChatWork): Promise<void> {
  const { call, queue, callClass } = candidate;
  const { fields, edits } = work.parsed;
  queue.arrived();
  context.retries.deposit();
  // A digest of a large body takes its time: made only when somebody may have kept a place, or is to keep one.
  const key = () => placeKey(call.record.tenant ?? '', candidate.model.model, work.bytes);
  const mayReturn = !callClass.progress && !context.keptPlaces.isEmpty();
  const kept = mayReturn ? context.keptPlaces.takeBack(key()) : undefined;
  const orderMs = kept ?? call.acceptedMs + callClass.deadline.firstContentMs;
  const promptTokens = estimateTokens(fields.segments);
  try {
    const refused = admit(candidate, { ...context, silentHoldMsMax: context.bounds.silentHoldMsMax });
    if (refused !== undefined) throw refused;
    await serveQueued(candidate, context, {
      body: applyEdits(work.bytes, edits),
      includeUsage: fields.includeUsage,
      orderMs,
      promptTokens,
      cost: promptTokens + (fields.answerTokensMax ?? ANSWER_TOKENS_GUESS),
      watch: work.watch,
    });
  } catch (error) {
    if (endingOf(error).code === 'model_warming') context.keptPlaces.keep(key(), orderMs, RETRY_AFTER_MS_MAX);
    throw error;
  }
}
