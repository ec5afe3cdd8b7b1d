// The inference routes: the stages of DESIGN §8 in their order, for whatever is in the table of routes. Each one either goes
// on or throws an Ending; what is done with it is the business of whoever called.
import { RETRY_AFTER_MS_MAX } from '../core/route/admission.ts';
import { applyEdits, withModel } from '../core/route/body-edits.ts';
import { estimateCost, inferenceRoutes, type RouteName } from '../core/route/inference-routes.ts';
import type { Call } from './call.ts';
import type { RouterContext } from './context.ts';
import { Ending, endingOf } from './ending.ts';
import { placeKey } from './queue/kept-places.ts';
import { admit, type Candidate } from './stage/admit.ts';
import { choose } from './stage/choose.ts';
import { classify, defaultLimits } from './stage/classify.ts';
import { type DeadlineWatch, watchDeadline } from './stage/deadline-watch.ts';
import type { ParsedBody } from './stage/parse.ts';
import { serveQueued } from './stage/serve-queued.ts';

export interface InferenceRequest {
  readonly route: RouteName;
  /** The whole body, within its limits. */
  readonly bytes: Buffer;
}

/** Resolves when the whole answer has gone out. Throws an Ending. */
export async function serveInference(call: Call, context: RouterContext, request: InferenceRequest): Promise<void> {
  const parsed = await context.parser.parse(request.bytes, request.route);
  if (!parsed.ok) throw new Ending('invalid_request', parsed.error.message, { param: parsed.error.param });
  const { fields } = parsed.value;
  call.record.stream = fields.stream;
  const callClass = classify(call, fields.stream, defaultLimits);
  const watch = watchDeadline(call, callClass.deadline, context.clock);
  try {
    const model = await choose(call, fields.model, { ...context, tableWaitMsMax: context.bounds.tableWaitMsMax });
    const candidate = { call, model, callClass, queue: context.queues.of(model.model) };
    await serveCandidate(candidate, context, { ...request, parsed: parsed.value, watch });
  } finally {
    watch.cancel();
  }
}

interface InferenceWork extends InferenceRequest {
  readonly parsed: ParsedBody;
  readonly watch: DeadlineWatch;
}

async function serveCandidate(candidate: Candidate, context: RouterContext, work: InferenceWork): Promise<void> {
  const { call, queue, callClass, model } = candidate;
  const { fields, edits, modelAt } = work.parsed;
  const route = inferenceRoutes[work.route];
  queue.arrived(fields.promptTokens);
  context.retries.deposit();
  // A digest of a large body takes its time: made only when somebody may have kept a place, or is to keep one.
  const key = () => placeKey(call.record.tenant ?? '', model.model, work.bytes);
  const mayReturn = !callClass.progress && !context.keptPlaces.isEmpty();
  const kept = mayReturn ? context.keptPlaces.takeBack(key()) : undefined;
  const orderMs = kept ?? call.acceptedMs + callClass.deadline.firstContentMs;
  try {
    const refused = admit(candidate, { ...context, silentHoldMsMax: context.bounds.silentHoldMsMax });
    if (refused !== undefined) throw refused;
    await serveQueued(candidate, context, {
      route,
      body: applyEdits(work.bytes, edits),
      bodyFor: (model) => applyEdits(work.bytes, withModel(edits, modelAt, model)),
      includeUsage: fields.includeUsage,
      orderMs,
      promptTokens: fields.promptTokens,
      cost: estimateCost(fields, route, model.contextLength),
      watch: work.watch,
    });
  } catch (error) {
    if (endingOf(error).code === 'model_warming') context.keptPlaces.keep(key(), orderMs, RETRY_AFTER_MS_MAX);
    throw error;
  }
}
