// The HTTP paths of a model server process: who may call, which path does what, and every status that is not the chat's own.
// Must never serve a call without the key, and never answer an order to the model before it is carried out.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { Rng } from '../../lib/rng.ts';
import { createKeyCheck } from './bearer-key.ts';
import { answerChat } from './chat-completion.ts';
import { prefillChunkOf, type ServerConfig } from './config.ts';
import { readJsonBody } from './json-body.ts';
import { asObject, readInteger, wrongField } from './json-fields.ts';
import type { ServerMetrics } from './metrics.ts';
import { METRICS_CONTENT_TYPE, renderMetrics } from './metrics-text.ts';
import type { ModelHost } from './model-host.ts';
import { runProbe } from './probe.ts';
import { readProcessMemory } from './process-memory.ts';
import type { HealthAnswer, IdentityAnswer, ReadyAnswer } from './protocol.ts';
import { Busy, Refusal, refusalOf, sendRefusal } from './refusal.ts';

const CHAT_BODY_BYTES_MAX = 32 * 1024 * 1024;
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

type Route = (request: IncomingMessage, response: ServerResponse, context: ServerContext) => Promise<void>;

const routes: Readonly<Record<string, { readonly method: 'GET' | 'POST'; readonly run: Route }>> = {
  '/health': { method: 'GET', run: health },
  '/ready': { method: 'GET', run: ready },
  '/metrics': { method: 'GET', run: metricsText },
  '/identity': { method: 'GET', run: identity },
  '/sleep': { method: 'POST', run: sleep },
  '/wake_up': { method: 'POST', run: wakeUp },
  '/probe': { method: 'POST', run: probe },
  '/v1/chat/completions': { method: 'POST', run: chat },
};

/** The listener of the process's HTTP server. Never throws and never rejects. */
export function createListener(context: ServerContext): (request: IncomingMessage, response: ServerResponse) => void {
  const hasKey = createKeyCheck(context.config.key);
  return (request, response) => {
    // A caller that hangs up shows in `close`; the error event alone would end the process.
    response.on('error', () => {});
    void dispatch(request, response, { context, hasKey }).catch((error: unknown) => {
      answerFailure(response, error, context.log);
    });
  };
}

async function dispatch(
  request: IncomingMessage,
  response: ServerResponse,
  { context, hasKey }: { context: ServerContext; hasKey: (authorization: string | undefined) => boolean },
): Promise<void> {
  if (!hasKey(request.headers.authorization)) {
    throw new Refusal('invalid_api_key', 'This model server needs its key as a bearer token.');
  }
  const path = request.url?.split('?', 1)[0] ?? '';
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (route === undefined) throw new Refusal('route_not_found', 'This model server has no such path.');
  if (request.method !== route.method) {
    throw new Refusal('method_not_allowed', `This path takes ${route.method} alone.`);
  }
  await route.run(request, response, context);
}

function answerFailure(response: ServerResponse, error: unknown, log: Log): void {
  if (error instanceof Busy) {
    const body = { error: { message: error.message, type: 'server_error', param: null, code: 'busy' } };
    sendJson(response, 409, body);
    return;
  }
  const refusal = refusalOf(error);
  if (refusal.code === 'internal_error') {
    log.error({ said: error instanceof Error ? (error.stack ?? error.message) : String(error) }, 'A call failed.');
  }
  if (refusal.code === 'client_gone') response.destroy();
  // What still comes of a body that is too large is thrown away: the connection ends with the answer.
  if (refusal.code === 'body_too_large' && !response.headersSent) response.setHeader('connection', 'close');
  sendRefusal(response, refusal);
}

async function health(_request: IncomingMessage, response: ServerResponse, context: ServerContext): Promise<void> {
  const { host, metrics, draining } = context;
  const scheduler = host.loaded?.scheduler;
  const answer: HealthAnswer = {
    state: host.state,
    draining: draining(),
    batches: metrics.batches.value,
    stepMs: scheduler?.stepMs ?? 0,
    busy: scheduler?.busy ?? 0,
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

async function chat(request: IncomingMessage, response: ServerResponse, context: ServerContext): Promise<void> {
  if (context.draining()) throw drainingRefusal();
  context.host.serving();
  const json = await readJsonBody(request, CHAT_BODY_BYTES_MAX);
  // The model may have gone to sleep, and the server may have begun to drain, while the body came.
  if (context.draining()) throw drainingRefusal();
  const { model, scheduler } = context.host.serving();
  const { config, clock, rng } = context;
  const fingerprint = `fp_${(await context.build()).slice(0, 12)}`;
  if (response.destroyed) return;
  await answerChat(json, response, { config, clock, rng, model, scheduler, fingerprint });
}

export function drainingRefusal(): Refusal {
  return new Refusal('draining', 'This model server is shutting down.');
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  if (response.headersSent || response.destroyed) return;
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}
