// `vllm serve` as its documentation and its issues describe it, without a model: arguments, paths, statuses, shapes, log lines,
// and the quirks that an adapter must live with. Run as a program; quirks are marked with their source.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { countTokens, type Faults, readFaults, type Token, tokensOf } from './fake-model.ts';
import {
  type Call,
  createFakeServer,
  empty,
  event,
  hang,
  json,
  numberOf,
  openEvents,
  pace,
  parseFlags,
  promptOf,
  text,
} from './fake-server.ts';

/** Of `vllm serve --help`: those that Stoker uses, and some that it must not. */
const known = new Set(
  (
    '--host --port --uds --api-key --served-model-name --max-model-len --max-num-seqs --generation-config --override-generation-config ' +
    '--kv-cache-memory-bytes --gpu-memory-utilization --enable-sleep-mode --disable-uvicorn-access-log --dtype --quantization --kv-cache-dtype ' +
    '--tensor-parallel-size --pipeline-parallel-size --block-size --max-num-batched-tokens --enable-prefix-caching --no-enable-prefix-caching ' +
    '--enable-chunked-prefill --no-enable-chunked-prefill --enforce-eager --trust-remote-code --chat-template --tool-call-parser ' +
    '--enable-auto-tool-choice --reasoning-parser --load-format --tokenizer-mode --config-format --seed --max-logprobs --cpu-offload-gb ' +
    '--attention-backend --async-scheduling --disable-custom-all-reduce --enable-expert-parallel'
  ).split(' '),
);

const say = (line: string) => process.stdout.write(`(APIServer pid=${process.pid}) INFO 11-21 09:42:13 ${line}\n`);
const die = (words: string, code: number): never => {
  process.stderr.write(`${words}\n`);
  process.exit(code);
};

const [command, modelPath = '', ...rest] = process.argv.slice(2);
if (command !== 'serve') die(`vllm: error: invalid choice: '${command}'`, 2);
const flags = parse();
const name = flags.get('--served-model-name') ?? modelPath;
const contextLength = Number(flags.get('--max-model-len') ?? 4096);
const places = Number(flags.get('--max-num-seqs') ?? 256);
const canSleep = flags.has('--enable-sleep-mode');
const isDev = process.env.VLLM_SERVER_DEV_MODE === '1';
const key = flags.get('--api-key') ?? process.env.VLLM_API_KEY;
const faults = (): Faults => readFaults(join(modelPath, '.fake.json'));

type Tag = 'weights' | 'kv_cache';
const state = {
  asleep: new Set<Tag>(),
  level: 0,
  weights: 'pinned',
  running: new Set<AbortController>(),
  waiting: 0,
  steps: 0,
  generated: 0,
  aborted: 0,
  /** Prefix cache: what was computed for this salt and prompt before, by whatever weights. */
  cache: new Map<string, Token[]>(),
  isCoreDead: false,
};

function parse(): Map<string, string> {
  try {
    return parseFlags(rest, known);
  } catch (error) {
    return die(
      `usage: vllm [-h] [-v] {chat,complete,serve}\nvllm: error: unrecognized arguments: ${(error as Error).message}`,
      2,
    );
  }
}

// The shapes of vllm/entrypoints/openai/engine/protocol.py: ErrorResponse since 0.10.
const refuse = ({ response }: Call, status: number, type: string, message: string, param: string | null = null) =>
  json(response, { error: { message, type, param, code: status } }, status);
const isUnderV1 = (path: string) => path.startsWith('/v1');

async function handle(call: Call): Promise<void> {
  const { method, path, response, authorization } = call;
  // Only /v1 asks for the key (vllm AuthenticationMiddleware).
  if (key !== undefined && isUnderV1(path) && authorization !== `Bearer ${key}`)
    return json(response, { error: 'Unauthorized' }, 401);
  const route = `${method} ${path}`;
  switch (route) {
    case 'GET /health':
      return empty(response, state.isCoreDead ? 503 : 200);
    case 'GET /version':
      return json(response, { version: '0.11.2' });
    case 'GET /metrics':
      return text(response, renderMetrics());
    case 'GET /v1/models': {
      const card = {
        id: name,
        object: 'model',
        created: 1_700_000_000,
        owned_by: 'vllm',
        root: modelPath,
        parent: null,
      };
      return json(response, { object: 'list', data: [{ ...card, max_model_len: contextLength, permission: [] }] });
    }
    case 'POST /v1/completions':
    case 'POST /v1/chat/completions':
      return answer(call);
    default: {
      const dev = isDev ? devRoutes[route] : undefined;
      return dev === undefined ? json(response, { detail: 'Not Found' }, 404) : dev(call);
    }
  }
}

/** An order is answered with nothing, or its connection breaks once it is carried out. */
const answered = (response: Call['response'], status = 200) =>
  faults().breaksOrders ? void response.destroy() : empty(response, status);

const devRoutes: Readonly<Record<string, (call: Call) => void>> = {
  'GET /is_sleeping': ({ response }) => json(response, { is_sleeping: state.asleep.size > 0 }),
  'POST /sleep': ({ query, response }) => {
    sleep(Number(query.get('level') ?? '1'));
    answered(response);
  },
  'POST /wake_up': ({ query, response }) => {
    if (faults().failsWake) return json(response, { detail: 'Internal Server Error' }, 500);
    wake(query.getAll('tags') as Tag[]);
    answered(response, state.isCoreDead ? 500 : 200);
  },
  'POST /collective_rpc': ({ body, response }) => {
    if (typeof body.method !== 'string') return json(response, { detail: 'Missing `method` in request body' }, 400);
    // In place, into memory that has to be there.
    if (body.method === 'reload_weights' && !state.asleep.has('weights')) state.weights = 'pinned';
    json(response, { results: [null] });
  },
  'POST /reset_prefix_cache': ({ response }) => {
    state.cache.clear();
    empty(response);
  },
};

function sleep(level: number): void {
  if (!canSleep || faults().ignoresSleep) return;
  // mode=abort is the default.
  for (const request of state.running) request.abort();
  state.asleep = new Set<Tag>(['weights', 'kv_cache']);
  state.level = level;
  if (level === 2) state.weights = 'discarded';
}

function wake(tags: Tag[]): void {
  const named: Tag[] = tags.length === 0 ? ['weights', 'kv_cache'] : tags;
  // vllm-omni#4473: memory that is mapped is mapped again.
  if (named.some((tag) => !state.asleep.has(tag))) state.isCoreDead = true;
  for (const tag of named) state.asleep.delete(tag);
  if (faults().corruptsWake) state.weights = 'corrupted';
}

function check(call: Call): boolean {
  const { body } = call;
  if (body.model !== name) {
    refuse(call, 404, 'NotFoundError', `The model \`${String(body.model)}\` does not exist.`, 'model');
    return false;
  }
  const prompt = countTokens(promptOf(body));
  if (prompt > contextLength) {
    const asked = `This model's maximum context length is ${contextLength} tokens. However, your request has ${prompt} input tokens.`;
    refuse(call, 400, 'BadRequestError', `${asked} Please reduce the length of the input messages.`, 'input_tokens');
    return false;
  }
  if (body.cache_salt !== undefined && (typeof body.cache_salt !== 'string' || body.cache_salt === '')) {
    refuse(
      call,
      400,
      'BadRequestError',
      'Parameter `cache_salt` must be a non-empty string if provided.',
      'cache_salt',
    );
    return false;
  }
  return true;
}

async function answer(call: Call): Promise<void> {
  if (!check(call)) return;
  const { gone, body, response } = call;
  if (faults().losesCore || state.asleep.size > 0 || state.running.size >= places) {
    // vllm#45326, vllm#39863: a request to an engine that sleeps, or whose core is gone, waits for ever.
    state.waiting += 1;
    await hang(gone.signal);
    state.waiting -= 1;
    return;
  }
  state.running.add(gone);
  await (body.stream === true ? stream(call) : whole(call));
  state.running.delete(gone);
  if (gone.signal.aborted && !response.writableFinished) state.aborted += 1;
}

function compute({ body }: Call): Token[] {
  const asked = numberOf(body.max_completion_tokens ?? body.max_tokens, 16);
  const prompt = promptOf(body);
  const cacheKey = `${String(body.cache_salt ?? '')}|${prompt}|${asked}`;
  const cached = state.cache.get(cacheKey);
  const tokens = cached ?? tokensOf(prompt, state.weights, asked);
  state.cache.set(cacheKey, tokens);
  return tokens;
}

const isChat = ({ path }: Call) => path.endsWith('/chat/completions');

async function stream(call: Call): Promise<void> {
  const { response, body, gone } = call;
  const head = {
    id: 'chatcmpl-fake',
    object: isChat(call) ? 'chat.completion.chunk' : 'text_completion',
    created: 1,
    model: name,
  };
  const piece = (delta: object, content: string, finish: string | null) =>
    isChat(call)
      ? { ...head, choices: [{ index: 0, delta, logprobs: null, finish_reason: finish, token_ids: null }] }
      : { ...head, choices: [{ index: 0, text: content, logprobs: null, finish_reason: finish, stop_reason: null }] };
  openEvents(response);
  if (isChat(call)) event(response, piece({ role: 'assistant', content: '' }, '', null));
  const tokens = compute(call);
  const isWhole = await pace(tokens, faults().tokenMs ?? 1, gone.signal, (token) => {
    step();
    event(response, piece({ content: token.text }, token.text, null));
  });
  if (!isWhole) return;
  event(response, piece({ content: '' }, '', 'length'));
  const options = body.stream_options as { include_usage?: boolean } | undefined;
  if (options?.include_usage === true) event(response, { ...head, choices: [], usage: usageOf(call, tokens) });
  event(response, '[DONE]');
  response.end();
}

async function whole(call: Call): Promise<void> {
  const { response, body, gone } = call;
  const tokens = compute(call);
  if (!(await pace(tokens, faults().tokenMs ?? 0, gone.signal, step))) return;
  const content = tokens.map((token) => token.text).join('');
  const head = { id: 'cmpl-fake', created: 1, model: name, usage: usageOf(call, tokens) };
  if (isChat(call)) {
    const message = { role: 'assistant', content, refusal: null, tool_calls: [], reasoning_content: null };
    const choices = [{ index: 0, message, logprobs: null, finish_reason: 'length', stop_reason: null }];
    return json(response, { ...head, object: 'chat.completion', choices, prompt_logprobs: null });
  }
  const logprobs =
    typeof body.logprobs === 'number' ? logprobsOf(tokens, body.return_tokens_as_token_ids === true) : null;
  const choices = [
    { index: 0, text: content, logprobs, finish_reason: 'length', stop_reason: null, prompt_logprobs: null },
  ];
  return json(response, { ...head, object: 'text_completion', choices });
}

function logprobsOf(tokens: readonly Token[], asIds: boolean) {
  const names = tokens.map((token) => (asIds ? `token_id:${token.id}` : token.text));
  const top = tokens.map((token, at) => ({ [names[at] ?? '']: token.logprob }));
  return {
    text_offset: tokens.map(() => 0),
    token_logprobs: tokens.map((token) => token.logprob),
    tokens: names,
    top_logprobs: top,
  };
}

function usageOf({ body }: Call, tokens: readonly Token[]) {
  const prompt = countTokens(promptOf(body));
  return {
    prompt_tokens: prompt,
    total_tokens: prompt + tokens.length,
    completion_tokens: tokens.length,
    prompt_tokens_details: null,
  };
}

function step(): void {
  state.steps += 1;
  state.generated += 1;
}

function renderMetrics(): string {
  const labels = `{engine="0",model_name="${name}"}`;
  const running = faults().staleFigures ? 1 : state.running.size;
  const share = Math.min(1, running / places);
  const slept = (value: string, is: boolean) =>
    `vllm:engine_sleep_state{engine="0",model_name="${name}",sleep_state="${value}"} ${is ? 1 : 0}.0`;
  return [
    '# HELP vllm:num_requests_running Number of requests in model execution batches.',
    '# TYPE vllm:num_requests_running gauge',
    `vllm:num_requests_running${labels} ${running}.0`,
    `vllm:num_requests_waiting${labels} ${state.waiting}.0`,
    slept('awake', state.asleep.size === 0),
    slept('weights_offloaded', state.asleep.size > 0 && state.level === 1),
    slept('discard_all', state.asleep.size > 0 && state.level === 2),
    `vllm:kv_cache_usage_perc${labels} ${share}`,
    `vllm:generation_tokens_total${labels} ${state.generated}.0`,
    `vllm:generation_tokens_created${labels} 1.7634e+09`,
    `vllm:request_success_total{engine="0",finished_reason="abort",model_name="${name}"} ${state.aborted}.0`,
    `vllm:iteration_tokens_total_bucket{engine="0",le="+Inf",model_name="${name}"} ${state.steps}.0`,
    `vllm:iteration_tokens_total_count${labels} ${state.steps}.0`,
    '',
  ].join('\n');
}

/** torch.compile keeps its graphs here, and reads those that an earlier process left. */
function compile(): void {
  const folder = join(process.env.VLLM_CACHE_ROOT ?? join(homedir(), '.cache/vllm'), 'torch_compile_cache');
  mkdirSync(folder, { recursive: true });
  say(`[backends.py:548] Using cache directory: ${folder} for vLLM's torch.compile`);
  const graph = join(folder, 'graph');
  if (!existsSync(graph)) writeFileSync(graph, randomUUID());
}

if (!existsSync(join(modelPath, 'config.json'))) {
  die(`OSError: ${modelPath} does not appear to have a file named config.json.`, 1);
}
process.on('SIGTERM', () => {
  if (!faults().ignoresTerm) process.exit(0);
});
// What computes is a child of what answers.
const core = spawn('sleep', ['600'], { stdio: 'ignore' });
process.on('exit', () => core.kill('SIGKILL'));
say(`[utils.py:253] non-default args: {'model': '${modelPath}', 'served_model_name': ['${name}']}`);
say('[gpu_model_runner.py:2602] Starting to load model');
await wait(faults().loadMs ?? 20);
if (faults().failsLoad) {
  die(
    'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\nRuntimeError: Engine core initialization failed. See root cause above.',
    1,
  );
}
say('[gpu_model_runner.py:2653] Model loading took 14.9889 GiB and 6.241 seconds');
compile();
await wait(10);
say('[gpu_model_runner.py:3489] Graph capturing finished in 5 secs, took 0.55 GiB');
const server = createFakeServer(handle);
server.once('error', (error) => die(`OSError: [Errno 98] ${error.message}`, 1));
if (faults().losesPort) die('OSError: [Errno 98] Address already in use', 1);
server.listen(Number(flags.get('--port') ?? 8000), flags.get('--host') ?? '0.0.0.0', () => {
  process.stdout.write('INFO:     Application startup complete.\n');
});
