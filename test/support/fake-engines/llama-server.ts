// `llama-server` of llama.cpp as its README describes it, without a model. Run as a program. It listens at once and says 503
// until the model is loaded; there is no order to sleep.
import { existsSync } from 'node:fs';
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
  promptOf,
  text,
} from './fake-server.ts';

/** Flags that take a value, and flags that do not: it knows no `--flag=value`. */
const valued = new Set(
  (
    '--model --alias --host --port --ctx-size --parallel --temp --top-p --top-k --api-key --threads --threads-batch --batch-size ' +
    '--ubatch-size --n-gpu-layers --flash-attn --cache-type-k --cache-type-v --split-mode --main-gpu --tensor-split --n-cpu-moe ' +
    '--cache-reuse --reasoning-format --reasoning-budget --chat-template --seed'
  ).split(' '),
);
const bare = new Set(
  '--metrics --no-webui --offline --jinja --no-jinja --mlock --no-mmap --no-kv-offload --cpu-moe --swa-full'.split(' '),
);

const die = (words: string, code = 1): never => {
  process.stderr.write(`${words}\n`);
  process.exit(code);
};

const flags = parse(process.argv.slice(2));
const modelPath = flags.get('--model') ?? '';
const name = flags.get('--alias') ?? modelPath;
const key = flags.get('--api-key') ?? process.env.LLAMA_API_KEY;
const places = Number(flags.get('--parallel') ?? 1);
const slotContext = Math.floor(Number(flags.get('--ctx-size') ?? 4096) / places);
const faults = (): Faults => readFaults(`${modelPath}.fake.json`);
/** llama.cpp tools/server/server-http.cpp: these need no key. */
const open = new Set(['/health', '/v1/health', '/models', '/v1/models']);

const state = { isLoaded: false, running: new Set<AbortController>(), deferred: 0, decodes: 0, predicted: 0 };

function parse(args: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (let at = 0; at < args.length; at += 1) {
    const flag = args[at] ?? '';
    if (bare.has(flag)) found.set(flag, '');
    else if (valued.has(flag))
      found.set(flag, args[++at] ?? die(`error while handling argument "${flag}": expected value for argument`));
    else die(`error: invalid argument: ${flag}`);
  }
  return found;
}

const fail = ({ response }: Call, code: number, type: string, message: string, more: object = {}) =>
  json(response, { error: { code, message, type, ...more } }, code);

async function handle(call: Call): Promise<void> {
  const { method, path, response, authorization } = call;
  if (key !== undefined && !open.has(path) && authorization !== `Bearer ${key}`) {
    return fail(call, 401, 'authentication_error', 'Invalid API Key');
  }
  if (!state.isLoaded) return fail(call, 503, 'unavailable_error', 'Loading model');
  switch (`${method} ${path}`) {
    case 'GET /health':
      return json(response, { status: 'ok' });
    case 'GET /props':
      return json(response, {
        total_slots: places,
        model_path: modelPath,
        build_info: 'b7100-0a1b2c3d',
        is_sleeping: false,
      });
    case 'GET /metrics':
      return flags.has('--metrics')
        ? text(response, renderMetrics())
        : fail(
            call,
            501,
            'not_supported_error',
            'This server does not support metrics endpoint. Start it with `--metrics`',
          );
    case 'GET /v1/models':
      return json(response, {
        object: 'list',
        data: [{ id: name, object: 'model', created: 1, owned_by: 'llamacpp', meta: {} }],
      });
    case 'POST /completion':
    case 'POST /v1/completions':
    case 'POST /v1/chat/completions':
      return answer(call);
    default:
      return fail(call, 404, 'not_found_error', 'File Not Found');
  }
}

async function answer(call: Call): Promise<void> {
  const { gone, body } = call;
  const prompt = countTokens(promptOf(body));
  if (prompt >= slotContext) {
    const message = `request (${prompt} tokens) exceeds the available context size (${slotContext} tokens), try increasing it`;
    return fail(call, 400, 'exceed_context_size_error', message, { n_prompt_tokens: prompt, n_ctx: slotContext });
  }
  if (faults().losesCore) return hang(gone.signal);
  state.running.add(gone);
  await (body.stream === true ? stream(call) : whole(call));
  state.running.delete(gone);
}

function compute({ body }: Call): Token[] {
  return tokensOf(
    promptOf(body),
    'pinned',
    numberOf(body.n_predict ?? body.max_completion_tokens ?? body.max_tokens, 16),
  );
}

const isChat = ({ path }: Call) => path.endsWith('/chat/completions');
const decode = () => {
  state.decodes += 1;
  state.predicted += 1;
};

async function stream(call: Call): Promise<void> {
  const { response, body, gone } = call;
  const head = {
    id: 'chatcmpl-fake',
    object: isChat(call) ? 'chat.completion.chunk' : 'text_completion',
    created: 1,
    model: name,
  };
  const named = { ...head, system_fingerprint: 'b7100-0a1b2c3d' };
  const piece = (delta: object, content: string, finish: string | null) => {
    const choice = isChat(call) ? { delta } : { text: content, logprobs: null };
    return { ...named, choices: [{ finish_reason: finish, index: 0, ...choice }] };
  };
  openEvents(response);
  // Its ping while a long prompt is read: a comment without text.
  response.write(':\n\n');
  if (isChat(call)) event(response, piece({ role: 'assistant', content: null }, '', null));
  const tokens = compute(call);
  const isWhole = await pace(tokens, faults().tokenMs ?? 1, gone.signal, (token) => {
    decode();
    event(response, piece({ content: token.text }, token.text, null));
  });
  if (!isWhole) return;
  event(response, { ...piece({}, '', 'length'), timings: { predicted_n: tokens.length, predicted_per_second: 100 } });
  const options = body.stream_options as { include_usage?: boolean } | undefined;
  if (options?.include_usage === true)
    event(response, { ...named, choices: [], usage: usageOf(call, tokens), timings: {} });
  event(response, '[DONE]');
  response.end();
}

async function whole(call: Call): Promise<void> {
  const { response, path, body, gone } = call;
  const tokens = compute(call);
  if (!(await pace(tokens, faults().tokenMs ?? 0, gone.signal, decode))) return;
  const content = tokens.map((token) => token.text).join('');
  if (path === '/completion') {
    const probabilities =
      numberOf(body.n_probs, 0) > 0
        ? tokens.map((token) => ({ ...token, token: token.text, bytes: [], top_logprobs: [] }))
        : undefined;
    return json(response, {
      index: 0,
      content,
      tokens: [],
      stop: true,
      stop_type: 'limit',
      completion_probabilities: probabilities,
    });
  }
  const choice = isChat(call) ? { message: { role: 'assistant', content } } : { text: content, logprobs: null };
  const head = {
    created: 1,
    model: name,
    system_fingerprint: 'b7100-0a1b2c3d',
    id: 'chatcmpl-fake',
    usage: usageOf(call, tokens),
    timings: {},
  };
  json(response, {
    ...head,
    object: isChat(call) ? 'chat.completion' : 'text_completion',
    choices: [{ finish_reason: 'length', index: 0, ...choice }],
  });
}

function usageOf({ body }: Call, tokens: readonly Token[]) {
  const prompt = countTokens(promptOf(body));
  return { completion_tokens: tokens.length, prompt_tokens: prompt, total_tokens: prompt + tokens.length };
}

function renderMetrics(): string {
  const running = faults().staleFigures ? 1 : state.running.size;
  return [
    '# HELP llamacpp:tokens_predicted_total Number of generation tokens processed.',
    '# TYPE llamacpp:tokens_predicted_total counter',
    `llamacpp:tokens_predicted_total ${state.predicted}`,
    `llamacpp:n_decode_total ${state.decodes}`,
    '# TYPE llamacpp:requests_processing gauge',
    `llamacpp:requests_processing ${running}`,
    `llamacpp:requests_deferred ${state.deferred}`,
    '',
  ].join('\n');
}

process.on('SIGTERM', () => {
  if (!faults().ignoresTerm) process.exit(0);
});
if (faults().losesPort)
  die(`couldn't bind HTTP server socket, hostname: 127.0.0.1, port: ${String(flags.get('--port'))}`);
const server = createFakeServer(handle);
server.once('error', (error) => die(`couldn't bind HTTP server socket: ${error.message}`));
server.listen(Number(flags.get('--port') ?? 9931), flags.get('--host') ?? '127.0.0.1');
process.stderr.write(`0.00.029.456 I srv    load_model: loading model '${modelPath}'\n`);
if (!existsSync(modelPath)) die(`gguf_init_from_file: failed to open GGUF file '${modelPath}'`);
await wait(faults().loadMs ?? 20);
if (faults().failsLoad)
  die(
    "llama_model_load: error loading model: unable to allocate CUDA0 buffer\nsrv    load_model: failed to load model, '" +
      modelPath +
      "'",
  );
state.isLoaded = true;
process.stderr.write('0.00.051.366 I srv  llama_server: model loaded\n');
