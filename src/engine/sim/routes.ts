// The HTTP paths of a simulated model server process: the same as the built-in engine's, so that an agent treats both alike.
// Must never answer an order to the model before it is carried out.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { SIMULATED_BUILD_DIGEST, simulatedSizes } from '../../api/simulated-weights.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { createDispatch, type RouteTable, sendJson } from '../llama/dispatch.ts';
import { readJsonBody } from '../llama/json-body.ts';
import { asObject, readInteger, wrongField } from '../llama/json-fields.ts';
import type { ServerMetrics } from '../llama/metrics.ts';
import type { HealthAnswer, IdentityAnswer, ProbeAnswer, ReadyAnswer } from '../llama/protocol.ts';
import { Refusal } from '../llama/refusal.ts';
import { METRICS_CONTENT_TYPE } from '../metric-lines.ts';
import type { Accelerator } from './accelerator.ts';
import { composeProbe } from './answer.ts';
import { answerSimChat } from './chat.ts';
import { answerSimCompletion } from './completion.ts';
import type { SimConfig } from './config.ts';
import { answerSimEmbeddings } from './embeddings.ts';
import type { Faults } from './faults.ts';
import type { SimContext } from './generation.ts';
import type { SimHost } from './host.ts';
import { renderSimMetrics } from './metrics-text.ts';
import { countPromptTokens } from './question.ts';
import type { Times } from './times.ts';
import { VOCABULARY_TOKENS } from './vocabulary.ts';

const INFERENCE_BODY_BYTES_MAX = 32 * 1024 * 1024;
const ORDER_BODY_BYTES_MAX = 64 * 1024;
const PROBE_TOKENS = 8;
const PROBE_TOKENS_MAX = 16;

export interface SimServerContext {
  readonly config: SimConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly host: SimHost;
  readonly times: Times;
  readonly faults: Faults;
  readonly accelerator: Accelerator;
  readonly metrics: ServerMetrics;
  readonly crash: () => void;
  /** What changes while the process runs. */
  readonly counts: { requests: number; faults: number };
  readonly draining: () => boolean;
}

const routes: RouteTable<SimServerContext> = {
  '/health': { method: 'GET', run: health },
  '/ready': { method: 'GET', run: ready },
  '/metrics': { method: 'GET', run: metricsText },
  '/identity': { method: 'GET', run: identity },
  '/sleep': { method: 'POST', run: sleep },
  '/wake_up': { method: 'POST', run: wakeUp },
  '/probe': { method: 'POST', run: probe },
  '/v1/chat/completions': { method: 'POST', run: infer(answerSimChat) },
  '/v1/completions': { method: 'POST', run: infer(answerSimCompletion) },
  '/v1/embeddings': { method: 'POST', run: infer(answerSimEmbeddings) },
};

/** The listener of the process's HTTP server. Never throws and never rejects. */
export function createSimListener(
  context: SimServerContext,
): (request: IncomingMessage, response: ServerResponse) => void {
  return createDispatch(routes, context, { key: context.config.key, log: context.log });
}

export function drainingRefusal(): Refusal {
  return new Refusal('draining', 'This model server is shutting down.');
}

async function health(_request: IncomingMessage, response: ServerResponse, context: SimServerContext): Promise<void> {
  const { host, metrics, draining } = context;
  const answer: HealthAnswer = {
    state: host.state,
    draining: draining(),
    batches: metrics.batches.value,
    // A simulated step is a timer: it cannot hang in a process that answers.
    stepMs: 0,
    busy: host.batch?.busy ?? 0,
    queued: host.batch?.queued ?? 0,
    acceleratorBytes: host.acceleratorBytes,
  };
  sendJson(response, 200, answer);
}

async function ready(_request: IncomingMessage, response: ServerResponse, context: SimServerContext): Promise<void> {
  const { host, draining } = context;
  const answer: ReadyAnswer = {
    ready: host.state === 'ready' && !draining(),
    state: host.state,
    draining: draining(),
    ...(host.reason === undefined ? {} : { reason: host.reason }),
  };
  sendJson(response, answer.ready ? 200 : 503, answer);
}

async function metricsText(
  _request: IncomingMessage,
  response: ServerResponse,
  context: SimServerContext,
): Promise<void> {
  const { host, metrics, accelerator, counts, config } = context;
  const text = renderSimMetrics(metrics, {
    state: host.state,
    queued: host.batch?.queued ?? 0,
    busy: host.batch?.busy ?? 0,
    places: config.concurrency,
    kvTokensHeld: host.batch?.heldTokens ?? 0,
    kvTokens: accelerator.kvTokens,
    acceleratorBytes: accelerator.bytes,
    faults: counts.faults,
  });
  response.writeHead(200, { 'content-type': METRICS_CONTENT_TYPE });
  response.end(text);
}

async function identity(_request: IncomingMessage, response: ServerResponse, context: SimServerContext): Promise<void> {
  const { contextTrained } = simulatedSizes[context.config.simulated.profile];
  const vocabulary = { kind: 'simulated', tokens: VOCABULARY_TOKENS };
  const answer: IdentityAnswer = {
    engine: 'sim',
    build: SIMULATED_BUILD_DIGEST,
    model: { architecture: 'simulated', contextTrained, chatTemplateSha256: null, vocabulary },
  };
  sendJson(response, 200, answer);
}

async function sleep(request: IncomingMessage, response: ServerResponse, context: SimServerContext): Promise<void> {
  const body = asObject(await readJsonBody(request, ORDER_BODY_BYTES_MAX)) ?? {};
  const level = readInteger(body, 'level', 1, 2) === 1 ? 1 : 2;
  sendJson(response, 200, await context.host.sleep(level));
}

async function wakeUp(request: IncomingMessage, response: ServerResponse, context: SimServerContext): Promise<void> {
  const body = asObject(await readJsonBody(request, ORDER_BODY_BYTES_MAX)) ?? {};
  const freeBytes = readInteger(body, 'freeBytes', 0, Number.MAX_SAFE_INTEGER);
  if (freeBytes === undefined) throw wrongField('freeBytes', '`freeBytes` must be there: what is free in the slot.');
  if (context.draining()) throw drainingRefusal();
  sendJson(response, 200, await context.host.wake(freeBytes));
}

/** Runs through the batch like a request, so that it takes its time; no fault of requests strikes it. */
async function probe(request: IncomingMessage, response: ServerResponse, context: SimServerContext): Promise<void> {
  const body = asObject(await readJsonBody(request, ORDER_BODY_BYTES_MAX)) ?? {};
  const question = body.prompt;
  if (typeof question !== 'string') throw wrongField('prompt', '`prompt` must be a text.');
  const tokens = readInteger(body, 'tokens', 1, PROBE_TOKENS_MAX) ?? PROBE_TOKENS;
  const { host, config } = context;
  const batch = host.serving();
  const { seed } = config.simulated;
  const answer: ProbeAnswer = composeProbe({ seed, damage: host.damage, question }, tokens);
  const abort = new AbortController();
  response.once('close', () => abort.abort());
  await batch.run({
    promptTokens: countPromptTokens([{ role: 'user', text: question }]),
    answer: { tokens: answer.tokenIds, finish: 'length' },
    sink: { take: () => 'more', ready: () => true },
    signal: abort.signal,
    everySteps: 1,
  });
  sendJson(response, 200, answer);
}

type Answer = (json: unknown, response: ServerResponse, context: SimContext) => Promise<void>;

function infer(answer: Answer): RouteTable<SimServerContext>[string]['run'] {
  return async (request, response, context) => {
    const { config, clock, times, host, crash } = context;
    if (context.draining()) throw drainingRefusal();
    host.serving();
    const json = await readJsonBody(request, INFERENCE_BODY_BYTES_MAX);
    // The model may have gone to sleep, and the server may have begun to drain, while the body came.
    if (context.draining()) throw drainingRefusal();
    const batch = host.serving();
    if (response.destroyed) return;
    const fingerprint = `fp_${SIMULATED_BUILD_DIGEST.slice(0, 12)}`;
    const { damage } = host;
    const drawFault = () => drawRequestFault(context);
    await answer(json, response, { config, clock, times, batch, damage, fingerprint, crash, drawFault });
  };
}

function drawRequestFault({ counts, faults }: SimServerContext): ReturnType<SimContext['drawFault']> {
  counts.requests += 1;
  const struck = faults.draw('request', counts.requests);
  if (struck !== undefined) counts.faults += 1;
  return struck;
}
