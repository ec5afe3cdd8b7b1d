// The HTTP paths of a model server process: who may call, which path does what, and every status that is not the chat's own.
// Must never serve a call without the key, and never answer an order to the model before it is carried out.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { Rng } from '../../lib/rng.ts';
import { answerChat } from './chat-completion.ts';
import { prefillChunkOf, type ServerConfig } from './config.ts';
import { createDispatch, type RouteTable, sendJson } from './dispatch.ts';
import { answerEmbeddings } from './embeddings.ts';
import type { GenerationContext } from './generation.ts';
import { readJsonBody } from './json-body.ts';
import { asObject, readInteger, wrongField } from './json-fields.ts';
import type { ServerMetrics } from './metrics.ts';
import { METRICS_CONTENT_TYPE, renderMetrics } from './metrics-text.ts';
import type { ModelHost } from './model-host.ts';
import { runProbe } from './probe.ts';
import { readProcessMemory } from './process-memory.ts';
import type { HealthAnswer, IdentityAnswer, ReadyAnswer } from './protocol.ts';
import { Refusal } from './refusal.ts';
import { answerCompletion } from './text-completion.ts';

const INFERENCE_BODY_BYTES_MAX = 32 * 1024 * 1024;
const ORDER_BODY_BYTES_MAX = 64 * 1024;
const PROBE_TOKENS = 8;
const PROBE_TOKENS_MAX = 16;
/** How long a probe waits for running requests. */
const PROBE_WAIT_MS_MAX = 5_000;

export interface ServerContext {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly host: ModelHost;
  readonly metrics: ServerMetrics;
  /** The hash of the native library; rejects when it cannot be opened. */
  readonly build: () => Promise<string>;
  readonly draining: () => boolean;
}

const routes: RouteTable<ServerContext> = {
  '/health': { method: 'GET', run: health },
  '/ready': { method: 'GET', run: ready },
  '/metrics': { method: 'GET', run: metricsText },
  '/identity': { method: 'GET', run: identity },
  '/sleep': { method: 'POST', run: sleep },
  '/wake_up': { method: 'POST', run: wakeUp },
  '/probe': { method: 'POST', run: probe },
  '/v1/chat/completions': { method: 'POST', run: infer(answerChat) },
  '/v1/completions': { method: 'POST', run: infer(answerCompletion) },
  '/v1/embeddings': { method: 'POST', run: embed },
};

/** The listener of the process's HTTP server. Never throws and never rejects. */
export function createListener(context: ServerContext): (request: IncomingMessage, response: ServerResponse) => void {
  return createDispatch(routes, context, { key: context.config.key, log: context.log });
}

async function health(_request: IncomingMessage, response: ServerResponse, context: ServerContext): Promise<void> {
  const { host, metrics, draining } = context;
  const scheduler = host.loaded?.scheduler;
  const answer: HealthAnswer = {
    state: host.state,
    draining: draining(),
    batches: metrics.batches.value,
    stepMs: scheduler?.stepMs ?? 0,
    busy: (scheduler?.busy ?? 0) + (host.loaded?.lane.open ?? 0),
    queued: scheduler?.queued ?? 0,
  };
  sendJson(response, 200, answer);
}

async function ready(_request: IncomingMessage, response: ServerResponse, context: ServerContext): Promise<void> {
  const { host, draining } = context;
  const answer: ReadyAnswer = {
    ready: host.state === 'ready' && !draining(),
    state: host.state,
    draining: draining(),
    ...(host.progress === undefined ? {} : { progress: host.progress }),
    ...(host.reason === undefined ? {} : { reason: host.reason }),
  };
  sendJson(response, answer.ready ? 200 : 503, answer);
}

async function metricsText(_request: IncomingMessage, response: ServerResponse, context: ServerContext): Promise<void> {
  const { host, metrics, config } = context;
  const memory = await readProcessMemory();
  const scheduler = host.loaded?.scheduler;
  const text = renderMetrics(metrics, {
    state: host.state,
    queued: scheduler?.queued ?? 0,
    slotsBusy: scheduler?.busy ?? 0,
    slots: scheduler?.slots ?? 0,
    kvTokensHeld: scheduler?.heldTokens ?? 0,
    kvTokens: (scheduler?.slots ?? 0) * config.contextLength,
    memory,
  });
  response.writeHead(200, { 'content-type': METRICS_CONTENT_TYPE });
  response.end(text);
}

async function identity(_request: IncomingMessage, response: ServerResponse, context: ServerContext): Promise<void> {
  const answer: IdentityAnswer = {
    engine: 'llama',
    build: await context.build(),
    model: context.host.identity ?? null,
  };
  sendJson(response, 200, answer);
}

async function sleep(request: IncomingMessage, response: ServerResponse, context: ServerContext): Promise<void> {
  const body = asObject(await readJsonBody(request, ORDER_BODY_BYTES_MAX)) ?? {};
  // Both levels release everything here: the file is mapped, so nothing of it would stay in memory for level 1 to keep.
  readInteger(body, 'level', 1, 2);
  sendJson(response, 200, await context.host.sleep());
}

async function wakeUp(request: IncomingMessage, response: ServerResponse, context: ServerContext): Promise<void> {
  request.resume();
  if (context.draining()) throw drainingRefusal();
  sendJson(response, 200, await context.host.wake());
}

async function probe(request: IncomingMessage, response: ServerResponse, context: ServerContext): Promise<void> {
  const body = asObject(await readJsonBody(request, ORDER_BODY_BYTES_MAX)) ?? {};
  const text = body.prompt;
  if (typeof text !== 'string') throw wrongField('prompt', '`prompt` must be a text.');
  const tokens = readInteger(body, 'tokens', 1, PROBE_TOKENS_MAX) ?? PROBE_TOKENS;
  const answer = await context.host.exclusively(PROBE_WAIT_MS_MAX, async (model, sequence) => {
    const prompt = model.tokenize(text);
    const room = context.config.contextLength - tokens;
    if (prompt.length === 0 || prompt.length >= room) {
      throw wrongField('prompt', `\`prompt\` must have 1 to ${room - 1} tokens; it has ${prompt.length}.`);
    }
    return await runProbe(sequence, { prompt, tokens, chunk: prefillChunkOf(context.config) });
  });
  sendJson(response, 200, answer);
}

type Answer = (json: unknown, response: ServerResponse, context: GenerationContext) => Promise<void>;

function infer(answer: Answer): RouteTable<ServerContext>[string]['run'] {
  return async (request, response, context) => {
    const json = await readInference(request, context);
    const { config, clock, rng } = context;
    const fingerprint = `fp_${(await context.build()).slice(0, 12)}`;
    if (response.destroyed) return;
    const { model, scheduler } = context.host.serving();
    await answer(json, response, { config, clock, rng, model, scheduler, fingerprint });
  };
}

async function embed(request: IncomingMessage, response: ServerResponse, context: ServerContext): Promise<void> {
  const json = await readInference(request, context);
  const { host, config } = context;
  await answerEmbeddings(json, response, { serving: host.serving(), servedName: config.servedName });
}

async function readInference(request: IncomingMessage, { host, draining }: ServerContext): Promise<unknown> {
  if (draining()) throw drainingRefusal();
  host.serving();
  const json = await readJsonBody(request, INFERENCE_BODY_BYTES_MAX);
  // The model may have gone to sleep, and the server may have begun to drain, while the body came.
  if (draining()) throw drainingRefusal();
  return json;
}

export function drainingRefusal(): Refusal {
  return new Refusal('draining', 'This model server is shutting down.');
}
