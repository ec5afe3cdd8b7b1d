// The body of POST /v1/chat/completions: what is asked, in our own words, or a refusal that names the first wrong field.
// A field that would change the answer and that this server cannot honour is refused; fields of bookkeeping are ignored.
// Must never guess: no default of sampling is chosen here (sampling.ts does).
import { type ChatMessage, parseMessages } from './chat-messages.ts';
import { asObject, type JsonObject, readBoolean, readInteger, readNumber, wrongField } from './json-fields.ts';

const STOPS_MAX = 4;
const STOP_CHARS_MAX = 1024;
const BIASES_MAX = 1024;
const TOKENS_MAX = 1_048_576;

export interface ChatRequest {
  readonly messages: readonly ChatMessage[];
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly tokensMax: number | undefined;
  readonly stops: readonly string[];
  readonly sampling: RequestedSampling;
}

export interface RequestedSampling {
  readonly temperature: number | undefined;
  readonly topP: number | undefined;
  readonly topK: number | undefined;
  readonly minP: number | undefined;
  readonly seed: number | undefined;
  readonly presencePenalty: number | undefined;
  readonly frequencyPenalty: number | undefined;
  readonly biases: ReadonlyMap<number, number>;
}

export function parseChatRequest(json: unknown): ChatRequest {
  const body = asObject(json);
  if (body === undefined) throw wrongField('body', 'The body must be one JSON object.');
  if (body.model !== undefined && typeof body.model !== 'string') throw wrongField('model', '`model` must be a text.');
  refuseUnsupported(body);
  const stream = readBoolean(body, 'stream');
  return {
    messages: parseMessages(body),
    stream,
    includeUsage: parseIncludeUsage(body, stream),
    tokensMax:
      readInteger(body, 'max_completion_tokens', 1, TOKENS_MAX) ?? readInteger(body, 'max_tokens', 1, TOKENS_MAX),
    stops: parseStops(body.stop),
    sampling: parseSampling(body),
  };
}

function parseSampling(body: JsonObject): RequestedSampling {
  return {
    temperature: readNumber(body, 'temperature', 0, 2),
    topP: readNumber(body, 'top_p', 0, 1),
    topK: readInteger(body, 'top_k', -1, Number.MAX_SAFE_INTEGER),
    minP: readNumber(body, 'min_p', 0, 1),
    seed: readInteger(body, 'seed', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
    presencePenalty: readNumber(body, 'presence_penalty', -2, 2),
    frequencyPenalty: readNumber(body, 'frequency_penalty', -2, 2),
    biases: parseBiases(body.logit_bias),
  };
}

function parseIncludeUsage(body: JsonObject, stream: boolean): boolean {
  if (body.stream_options === undefined || body.stream_options === null) return false;
  const options = asObject(body.stream_options);
  if (options === undefined) throw wrongField('stream_options', '`stream_options` must be an object.');
  if (!stream) throw wrongField('stream_options', '`stream_options` may only be set when `stream` is true.');
  const wanted = options.include_usage ?? false;
  if (typeof wanted !== 'boolean') {
    throw wrongField('stream_options.include_usage', '`stream_options.include_usage` must be true or false.');
  }
  return wanted;
}

function parseStops(value: unknown): readonly string[] {
  if (value === undefined || value === null) return [];
  const stops: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (stops.length > STOPS_MAX) throw wrongField('stop', `\`stop\` may hold at most ${STOPS_MAX} texts.`);
  return stops.map((stop) => {
    if (typeof stop === 'string' && stop.length > 0 && stop.length <= STOP_CHARS_MAX) return stop;
    throw wrongField('stop', `\`stop\` must be a text, or an array of texts, of 1 to ${STOP_CHARS_MAX} characters.`);
  });
}

function parseBiases(value: unknown): ReadonlyMap<number, number> {
  if (value === undefined || value === null) return new Map();
  const biases = asObject(value);
  if (biases === undefined) throw wrongField('logit_bias', '`logit_bias` must be an object of token ids and numbers.');
  const entries = Object.entries(biases);
  if (entries.length > BIASES_MAX)
    throw wrongField('logit_bias', `\`logit_bias\` may hold at most ${BIASES_MAX} tokens.`);
  return new Map(entries.map(([token, bias]) => parseBias(token, bias)));
}

function parseBias(token: string, bias: unknown): [number, number] {
  if (!/^(0|[1-9][0-9]{0,8})$/.test(token))
    throw wrongField('logit_bias', 'The keys of `logit_bias` must be token ids.');
  if (typeof bias !== 'number' || !(bias >= -100 && bias <= 100)) {
    throw wrongField('logit_bias', 'The values of `logit_bias` must be numbers from -100 to 100.');
  }
  return [Number(token), bias];
}

/** Each row: the field, and whether the given value asks for something that this server does not do. */
const unsupported: readonly (readonly [param: string, asksForIt: (value: unknown) => boolean])[] = [
  ['n', (value) => value !== 1],
  ['logprobs', (value) => value !== false],
  ['top_logprobs', () => true],
  ['tools', (value) => !Array.isArray(value) || value.length > 0],
  ['tool_choice', (value) => value !== 'none' && value !== 'auto'],
  ['functions', (value) => !Array.isArray(value) || value.length > 0],
  ['function_call', (value) => value !== 'none' && value !== 'auto'],
  ['response_format', (value) => asObject(value)?.type !== 'text'],
  ['modalities', (value) => !Array.isArray(value) || value.some((item) => item !== 'text')],
  ['audio', () => true],
  ['web_search_options', () => true],
];

function refuseUnsupported(body: JsonObject): void {
  for (const [param, asksForIt] of unsupported) {
    const value = body[param];
    if (value === undefined || value === null || !asksForIt(value)) continue;
    throw wrongField(param, `This model server does not support the given value of \`${param}\`.`);
  }
}
