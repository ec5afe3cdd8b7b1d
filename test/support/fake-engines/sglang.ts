// `python3 -m sglang.launch_server` as its documentation and its issues describe it, without a model. Run as a program named
// python3. Quirks that an adapter must live with are marked with their source.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { countTokens, type Faults, readFaults, type Token, tokensOf } from './fake-model.ts';
import {
  type Call,
  createFakeServer,
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

/** Of `python3 -m sglang.launch_server --help`. */
const known = new Set(
  (
    '--model-path --served-model-name --host --port --api-key --admin-api-key --context-length --max-running-requests --max-total-tokens ' +
    '--mem-fraction-static --sampling-defaults --preferred-sampling-params --enable-memory-saver --enable-weights-cpu-backup --enable-metrics ' +
    '--watchdog-timeout --log-level --log-level-http --dtype --quantization --kv-cache-dtype --tensor-parallel-size --expert-parallel-size ' +
    '--attention-backend --sampling-backend --chunked-prefill-size --max-prefill-tokens --schedule-policy --page-size --cuda-graph-max-bs ' +
    '--disable-cuda-graph --disable-radix-cache --enable-torch-compile --disable-custom-all-reduce --random-seed --load-format ' +
    '--tokenizer-mode --tool-call-parser --reasoning-parser --trust-remote-code --chat-template'
  ).split(' '),
);

const die = (words: string, code: number): never => {
  process.stderr.write(`${words}\n`);
  process.exit(code);
};
/** The scheduler is a process of its own; when it falls it takes the server with it (SIGQUIT to the parent). */
const schedulerDies = (words: string) => die(`Traceback (most recent call last):\n${words}`, 137);
const say = (line: string) => process.stderr.write(`[2025-11-21 09:42:13 TP0] ${line}\n`);

const [dash, module, ...rest] = process.argv.slice(2);
if (dash !== '-m' || module !== 'sglang.launch_server') die(`python3: can't open file '${String(dash)}'`, 2);
const flags = parse();
const modelPath = flags.get('--model-path') ?? '';
const name = flags.get('--served-model-name') ?? modelPath;
const key = flags.get('--api-key');
const contextLength = Number(flags.get('--context-length') ?? 4096);
const hasSaver = flags.has('--enable-memory-saver');
const hasBackup = flags.has('--enable-weights-cpu-backup');
const faults = (): Faults => readFaults(join(modelPath, '.fake.json'));
const healthComputes = !/^(0|false)$/i.test(process.env.SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION ?? 'true');

const STEP_MS = 30;
const state = {
  isUp: false,
  released: new Set<string>(),
  weights: 'pinned',
  running: new Set<AbortController>(),
  prompts: 0,
  generated: 0,
  aborted: 0,
  cache: new Map<string, Token[]>(),
};

function parse(): Map<string, string> {
  try {
    return parseFlags(rest, known);
  } catch (error) {
    return die(`launch_server.py: error: unrecognized arguments: ${(error as Error).message}`, 2);
  }
}

// Flat, not under `error`: sglang/srt/entrypoints/openai/serving_base.py.
const refuse = ({ response }: Call, message: string) =>
  json(response, { object: 'error', message, type: 'BadRequestError', param: null, code: 400 }, 400);

async function handle(call: Call): Promise<void> {
  const { method, path, response, authorization } = call;
  const isOpen = path.startsWith('/health') || path.startsWith('/metrics');
  if (key !== undefined && !isOpen && authorization !== `Bearer ${key}`)
    return json(response, { error: 'Unauthorized' }, 401);
  switch (`${method} ${path}`) {
    case 'GET /health':
      return health(call);
    case 'GET /metrics':
      return text(response, renderMetrics());
    case 'GET /server_info':
      return json(response, {
        model_path: modelPath,
        served_model_name: name,
        version: '0.5.6',
        internal_states: [{}],
      });
    case 'GET /v1/models':
      return json(response, {
        object: 'list',
        data: [{ id: name, object: 'model', owned_by: 'sglang', max_model_len: contextLength }],
      });
    case 'POST /generate':
    case 'POST /v1/completions':
    case 'POST /v1/chat/completions':
      return answer(call);
    default: {
      const order = orders[`${method} ${path}`];
      return order === undefined ? json(response, { detail: 'Not Found' }, 404) : order(call);
    }
  }
}

/** By default it computes a token, on memory that may not be there. */
function health({ response }: Call): void {
  if (!state.isUp) return void response.writeHead(503).end();
  if (healthComputes && state.released.size > 0) schedulerDies('CUDA error: an illegal memory access was encountered');
  response.writeHead(200).end();
}

const tagsOf = ({ body }: Call) =>
  Array.isArray(body.tags) ? (body.tags as string[]) : ['kv_cache', 'weights', 'cuda_graph'];
/** An order is answered with null, or its connection breaks once it is carried out. */
const answered = (response: Call['response']) =>
  faults().breaksOrders ? void response.destroy() : json(response, null);

const orders: Readonly<Record<string, (call: Call) => void>> = {
  'POST /abort_request': ({ body, response }) => {
    if (typeof body.rid !== 'string') return json(response, { error: { message: 'rid: Field required' } }, 400);
    for (const request of state.running) request.abort();
    response.writeHead(200).end();
  },
  'POST /flush_cache': ({ response }) => flush(response),
  'POST /release_memory_occupation': (call) => {
    release(tagsOf(call));
    answered(call.response);
  },
  'POST /resume_memory_occupation': (call) => {
    const { response } = call;
    if (faults().failsWake) return json(response, { error: { message: 'CUresult error: 2 (out of memory)' } }, 400);
    resume(tagsOf(call));
    answered(response);
  },
  'POST /update_weights_from_disk': ({ body, response }) => {
    const isThere = !state.released.has('weights') && body.model_path === modelPath;
    if (isThere) state.weights = 'pinned';
    const message = isThere ? 'Succeeded to update model weights.' : 'Failed to load weights.';
    json(response, { success: isThere, message, num_paused_requests: 0 }, isThere ? 200 : 400);
  },
};

function flush(response: Call['response']): void {
  if (state.running.size === 0) state.cache.clear();
  text(response, 'Cache flushed.\nPlease check backend logs for more details.\n', state.running.size === 0 ? 200 : 400);
}

function release(tags: string[]): void {
  if (!hasSaver || faults().ignoresSleep) return;
  // The docs: "This call asserts there are no ongoing requests."
  if (state.running.size > 0)
    schedulerDies('AssertionError: release_memory_occupation should be called only when no ongoing request.');
  for (const tag of tags) state.released.add(tag);
  if (tags.includes('weights') && !hasBackup) state.weights = 'garbage';
}

function resume(tags: string[]): void {
  if (!hasSaver || faults().ignoresSleep) return;
  // What is not released cannot be taken out of the set of what is.
  for (const tag of tags) if (!state.released.delete(tag)) schedulerDies(`KeyError: '${tag}'`);
  if (faults().corruptsWake) state.weights = 'garbage';
}

async function answer(call: Call): Promise<void> {
  const { gone, body } = call;
  const prompt = promptOf(body);
  if (countTokens(prompt) >= contextLength) {
    return refuse(
      call,
      `The input (${countTokens(prompt)} tokens) is longer than the model's context length (${contextLength} tokens).`,
    );
  }
  if (state.released.size > 0) schedulerDies('CUDA error: an illegal memory access was encountered');
  if (faults().losesCore) return hang(gone.signal);
  state.running.add(gone);
  state.prompts += countTokens(prompt);
  await (body.stream === true ? stream(call) : whole(call));
  // The scheduler lets go of an aborted request at its next step.
  if (gone.signal.aborted) await wait(STEP_MS);
  state.running.delete(gone);
  if (gone.signal.aborted && !call.response.writableFinished) state.aborted += 1;
}

function compute({ body }: Call): Token[] {
  const sampling = (body.sampling_params ?? {}) as Record<string, unknown>;
  const asked = numberOf(sampling.max_new_tokens ?? body.max_completion_tokens ?? body.max_tokens, 16);
  const prompt = promptOf(body);
  const cacheKey = `${String(body.extra_key ?? '')}|${prompt}|${asked}`;
  const tokens = state.cache.get(cacheKey) ?? tokensOf(prompt, state.weights, asked);
  state.cache.set(cacheKey, tokens);
  return tokens;
}

const isChat = ({ path }: Call) => path.endsWith('/chat/completions');

async function stream(call: Call): Promise<void> {
  const { response, body, gone } = call;
  const head = {
    id: 'fake',
    object: isChat(call) ? 'chat.completion.chunk' : 'text_completion',
    created: 1,
    model: name,
  };
  const piece = (delta: object, content: string, finish: string | null) => {
    const choice = isChat(call) ? { delta } : { text: content };
    return {
      ...head,
      choices: [{ index: 0, ...choice, logprobs: null, finish_reason: finish, matched_stop: null }],
      usage: null,
    };
  };
  openEvents(response);
  if (isChat(call)) event(response, piece({ role: 'assistant', content: '' }, '', null));
  const tokens = compute(call);
  const isWhole = await pace(tokens, faults().tokenMs ?? 1, gone.signal, (token) => {
    state.generated += 1;
    event(
      response,
      piece({ role: null, content: token.text, reasoning_content: null, tool_calls: null }, token.text, null),
    );
  });
  if (!isWhole) return;
  event(response, piece({ role: null, content: null }, '', 'length'));
  const options = body.stream_options as { include_usage?: boolean } | undefined;
  if (options?.include_usage === true) event(response, { ...head, choices: [], usage: usageOf(call, tokens) });
  event(response, '[DONE]');
  response.end();
}

async function whole(call: Call): Promise<void> {
  const { response, path, body, gone } = call;
  const tokens = compute(call);
  const count = () => {
    state.generated += 1;
  };
  if (!(await pace(tokens, faults().tokenMs ?? 0, gone.signal, count))) return;
  const content = tokens.map((token) => token.text).join('');
  if (path === '/generate') {
    const logprobs = body.return_logprob === true ? tokens.map(({ logprob, id }) => [logprob, id, null]) : undefined;
    const counts = { prompt_tokens: countTokens(promptOf(body)), completion_tokens: tokens.length, cached_tokens: 0 };
    const meta = {
      id: 'fake',
      finish_reason: { type: 'length', length: tokens.length },
      ...counts,
      output_token_logprobs: logprobs,
    };
    return json(response, { text: content, output_ids: tokens.map(({ id }) => id), meta_info: meta });
  }
  const head = {
    id: 'fake',
    created: 1,
    model: name,
    usage: usageOf(call, tokens),
    metadata: { weight_version: 'default' },
  };
  const choice = isChat(call)
    ? { message: { role: 'assistant', content, reasoning_content: null, tool_calls: null } }
    : { text: content };
  const object = isChat(call) ? 'chat.completion' : 'text_completion';
  json(response, {
    ...head,
    object,
    choices: [{ index: 0, ...choice, logprobs: null, finish_reason: 'length', matched_stop: null }],
  });
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

function renderMetrics(): string {
  if (!flags.has('--enable-metrics')) return '';
  const labels = `{engine_type="unified",model_name="${name}",moe_ep_rank="0",pp_rank="0",tp_rank="0"}`;
  const running = faults().staleFigures ? 1 : state.running.size;
  return [
    '# TYPE sglang:num_running_reqs gauge',
    `sglang:num_running_reqs${labels} ${running}.0`,
    `sglang:num_queue_reqs${labels} 0.0`,
    `sglang:token_usage${labels} ${running === 0 ? 0 : 0.25}`,
    `sglang:prompt_tokens_total${labels} ${state.prompts}.0`,
    `sglang:generation_tokens_total${labels} ${state.generated}.0`,
    `sglang:num_aborted_requests_total${labels} ${state.aborted}.0`,
    '',
  ].join('\n');
}

if (!existsSync(join(modelPath, 'config.json')))
  die(`OSError: ${modelPath} does not appear to have a file named config.json.`, 1);
process.on('SIGTERM', () => {
  if (!faults().ignoresTerm) process.exit(0);
});
say(`server_args=ServerArgs(model_path='${modelPath}', api_key='${String(key)}', served_model_name='${name}')`);
say('Load weight begin. avail mem=78.50 GB');
await wait(faults().loadMs ?? 20);
if (faults().failsLoad) die('RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.', 1);
say('Load weight end. type=LlamaForCausalLM, dtype=torch.bfloat16, avail mem=63.40 GB');
await wait(10);
say('Capture cuda graph end. Time elapsed: 5.00 s. mem usage=0.55 GB');
const server = createFakeServer(handle);
if (faults().losesPort) die('[Errno 98] error while attempting to bind on address: address already in use', 1);
server.once('error', (error) => die(`[Errno 98] ${error.message}`, 1));
server.listen(Number(flags.get('--port') ?? 30_000), flags.get('--host') ?? '127.0.0.1', () => {
  // It answers before its own first request went through.
  setImmediate(() => {
    state.isUp = true;
    say('The server is fired up and ready to roll!');
  });
});
