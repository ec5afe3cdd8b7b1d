// From the queue to the end of the answer: waits for a grant, makes an attempt, and does with its end what the judge says,
// until the request is served or has failed. Gives back every place and every grant, on every path.

import type { InferenceRoute } from '../../core/route/inference-routes.ts';
import type { RoutingTable } from '../../core/route/table.ts';
import { publicId } from '../../lib/ids.ts';
import type { AnswerStream } from '../answer-sink.ts';
import type { Call } from '../call.ts';
import type { RouterContext } from '../context.ts';
import { Ending } from '../ending.ts';
import type { Grant, Place } from '../queue/model-queue.ts';
import { createRelay, type Relay } from '../stream/relay.ts';
import type { Candidate } from './admit.ts';
import { attempt } from './attempt.ts';
import type { DeadlineWatch } from './deadline-watch.ts';
import { type Hold, holdSilently, holdStream } from './hold.ts';
import { type AttemptEnd, judge, type Verdict } from './judge.ts';

export interface QueuedWork {
  readonly route: InferenceRoute;
  /** What goes to the engine. */
  readonly body: Uint8Array;
  /** The same for an upstream, which calls the model something else. */
  bodyFor(model: string): Uint8Array;
  readonly includeUsage: boolean;
  readonly orderMs: number;
  readonly promptTokens: number;
  readonly cost: number;
  readonly watch: DeadlineWatch;
}

interface Run {
  readonly candidate: Candidate;
  readonly context: RouterContext;
  readonly work: QueuedWork;
  readonly responseId: string;
  readonly stream: AnswerStream | undefined;
  readonly place: Place;
  readonly hold: Hold;
  readonly enteredMs: number;
  /** What the head said of the attempt; undefined until the head has gone. */
  headFacts(): string | undefined;
}

/** Resolves when the whole answer has gone out. Throws an Ending. */
export async function serveQueued(candidate: Candidate, context: RouterContext, work: QueuedWork): Promise<void> {
  const { call, callClass } = candidate;
  const options = { ...context, silentHoldMsMax: context.bounds.silentHoldMsMax };
  let headFacts: string | undefined;
  const stream = call.record.stream
    ? call.sink.openStream({
        onHead() {
          headFacts = renderFacts(call);
          work.watch.headSent();
        },
      })
    : undefined;
  const enteredMs = context.clock.nowMs();
  let hold: Hold | undefined;
  const place = candidate.queue.enter({
    id: call.serial,
    tenant: call.record.tenant ?? '',
    cost: work.cost,
    bytes: work.body.length,
    orderMs: work.orderMs,
    promptTokens: work.promptTokens,
    showsReading: stream !== undefined,
    onTableChange: () => hold?.reconsider(),
  });
  if (place === undefined) throw queueFull(candidate);
  hold =
    stream !== undefined && callClass.progress
      ? holdStream(candidate, stream, options)
      : holdSilently(candidate, options);
  const responseId = publicId(work.route.idPrefix);
  try {
    await untilServed({
      ...{ candidate, context, work, responseId, stream, place, hold, enteredMs },
      headFacts: () => headFacts,
    });
  } finally {
    hold.stop();
    place.leave();
  }
}

function queueFull({ model }: Candidate): Ending {
  return new Ending('queue_full', `Too many requests are waiting for the model ${model.servedName}.`, {
    headers: { 'retry-after': '1', 'retry-after-ms': '1000' },
  });
}

async function untilServed(run: Run): Promise<void> {
  const { call } = run.candidate;
  for (;;) {
    run.hold.setAhead(run.place.ahead);
    const grant = await run.place.granted(call.signal);
    run.hold.setAhead(undefined);
    const verdict = await tryOnce(run, grant);
    if (verdict.kind === 'Accept') return run.stream?.finish(call.record.usage);
    if (verdict.kind === 'Fail') throw verdict.ending;
  }
}

async function tryOnce(run: Run, grant: Grant): Promise<Verdict> {
  const { context, place, stream, candidate } = run;
  const { record } = candidate.call;
  candidate.call.isAtInstance = true;
  try {
    noteGrant(run, grant);
    const grantedMs = context.clock.nowMs();
    const end = await attempt(planOf(run, grant));
    noteEnd(run, grant, end);
    if (end.kind === 'Answered') noteAnswer(run, grant, grantedMs);
    const verdict = judge(end, {
      contentSent: stream?.contentSent() ?? false,
      attempts: record.attempts,
      attemptsMax: context.bounds.attemptsMax,
      spendRetry: () => context.retries.spend(context.clock.nowMs()),
    });
    // Before the grant is given back, so that nobody overtakes.
    if (verdict.kind === 'PutBack' || verdict.kind === 'Retry') place.putBack();
    return verdict;
  } finally {
    candidate.call.isAtInstance = false;
    grant.release();
  }
}

function noteGrant({ candidate, context, enteredMs, stream, work }: Run, grant: Grant): void {
  const { headers, record } = candidate.call;
  record.attempts += 1;
  record.queueMs = context.clock.nowMs() - enteredMs;
  record.revision = grant.endpoint.revision;
  record.instance = grant.endpoint.instance;
  headers.set('x-stoker-revision', grant.endpoint.revision);
  headers.set('x-stoker-queue-ms', String(Math.round(record.queueMs)));
  headers.set('x-stoker-attempts', String(record.attempts));
  // A JSON answer has no content before it is whole.
  if (stream === undefined) work.watch.contentSent();
}

/** What the end says about the endpoint, for whoever comes next. */
function noteEnd({ candidate, context, place }: Run, grant: Grant, end: AttemptEnd): void {
  const { record, model } = { record: candidate.call.record, model: candidate.model.model };
  const { book } = context.queues;
  const { endpoint } = grant;
  const nowMs = context.clock.nowMs();
  context.metrics.count('attempts', { model, end: end.kind });
  switch (end.kind) {
    case 'Refused':
      record.attempts -= 1;
      record.refusals += 1;
      book.refused(endpoint.instance, end.refusal, { nowMs, isNews: isStill(grant, context.table.current()) });
      return;
    case 'Limited':
      record.attempts -= 1;
      book.limited(endpoint.instance, nowMs + end.waitMs);
      return;
    case 'Unreached':
      record.attempts -= 1;
      place.avoid(endpoint.instance);
      book.failed(endpoint.instance, nowMs);
      return;
    case 'Failed':
      place.avoid(endpoint.instance);
      book.failed(endpoint.instance, nowMs);
      return;
    case 'Answered':
    case 'Declined':
      book.worked(endpoint.instance);
  }
}

/** What the answer tells of the engine, for the controller. */
function noteAnswer({ candidate, context, stream }: Run, { endpoint }: Grant, grantedMs: number): void {
  const { record, acceptedMs } = candidate.call;
  const { usage, firstContentMs } = record;
  if (usage === undefined) return;
  const [state] = context.queues.book.states([endpoint]);
  const firstAtMs = stream === undefined || firstContentMs === undefined ? undefined : acceptedMs + firstContentMs;
  candidate.queue.answered({
    promptTokens: usage.promptTokens,
    cachedTokens: usage.cachedTokens,
    outputTokens: usage.completionTokens,
    firstMs: firstAtMs === undefined ? undefined : firstAtMs - grantedMs,
    totalMs: context.clock.nowMs() - grantedMs,
    sequences: state?.inFlight ?? 1,
  });
}

/** A refusal about an older table than ours says nothing new. */
function isStill({ table, endpoint: { podUid }, key }: Grant, current: RoutingTable): boolean {
  return current.endpoints === table.endpoints && current.keys.get(podUid)?.key === key;
}

function planOf(run: Run, grant: Grant): Parameters<typeof attempt>[0] {
  const { candidate, context, work, stream, responseId } = run;
  const { call } = candidate;
  return {
    call,
    grant,
    responseId,
    pool: context.connections.to(grant.endpoint.address),
    path: work.route.path,
    body: work.body,
    bodyFor: work.bodyFor,
    servedName: candidate.model.servedName,
    answerBytesMax: context.bounds.answerBytesMax,
    clock: context.clock,
    remainingMs: work.watch.remainingMs,
    onSlotLost(giveUp) {
      const { address, remote } = grant.endpoint;
      // Somebody else's API that has left the table still answers what it was asked.
      if (remote !== undefined) return () => {};
      // Once content was sent nobody else can go on with the answer: what ends it then is its deadline.
      return context.departures.watch(address, () => {
        if (stream?.contentSent() !== true) giveUp();
      });
    },
    onHeard: () => {
      if (stream?.contentSent() === true) work.watch.heard();
    },
    relay: stream === undefined ? undefined : relayTo(run, stream, grant),
    sendJson(body) {
      call.record.firstContentMs = context.clock.nowMs() - call.acceptedMs;
      call.sink.answer(body);
    },
  };
}

function relayTo({ candidate, context, work, headFacts }: Run, stream: AnswerStream, grant: Grant): Relay {
  const { call } = candidate;
  return createRelay({
    stream,
    includeUsage: work.includeUsage,
    preludeBytesMax: context.bounds.preludeBytesMax,
    note() {
      const facts = renderFacts(call);
      const said = headFacts();
      return said === undefined || said === facts ? undefined : facts;
    },
    onFirstContent() {
      call.record.firstContentMs = context.clock.nowMs() - call.acceptedMs;
      work.watch.contentSent();
      work.watch.heard();
      grant.read();
    },
    onUsage(usage) {
      call.record.usage = usage;
    },
  });
}

/** What is told in headers when the head goes late enough, and in the first content chunk otherwise. */
function renderFacts({ record }: Call): string {
  const { revision, queueMs, attempts } = record;
  return JSON.stringify({ revision, queue_ms: queueMs === undefined ? undefined : Math.round(queueMs), attempts });
}
