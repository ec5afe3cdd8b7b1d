// The fields that chat and text completions have in common, each read from a JSON body that nobody has checked: the value in
// our own words, or a refusal that names the field. Must never choose a default of sampling (sampling.ts does).
import { asObject, type JsonObject, readInteger, readNumber, wrongField } from './json-fields.ts';

const STOPS_MAX = 4;
const STOP_CHARS_MAX = 1024;
const BIASES_MAX = 1024;
export const TOKENS_MAX = 1_048_576;
/** Answers to one prompt. */
const CHOICES_MAX = 8;
/** Alternatives that are told for each token (OpenAI's bound). */
export const ALTERNATIVES_MAX = 20;

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

/** What both kinds of request say about the answer. */
export interface AnswerWishes {
  readonly stream: boolean;
  readonly includeUsage: boolean;
  /** Answers to each prompt. */
  readonly choices: number;
  readonly stops: readonly string[];
  readonly sampling: RequestedSampling;
  /** How many alternatives of each token to tell with the log-probabilities; undefined when none are asked for. */
  readonly alternatives: number | undefined;
}

export function checkModelField(body: JsonObject): void {
  if (body.model !== undefined && typeof body.model !== 'string') throw wrongField('model', '`model` must be a text.');
}

export function parseChoices(body: JsonObject): number {
  return readInteger(body, 'n', 1, CHOICES_MAX) ?? 1;
}

export function parseSampling(body: JsonObject): RequestedSampling {
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

export function parseIncludeUsage(body: JsonObject, stream: boolean): boolean {
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

export function parseStops(value: unknown): readonly string[] {
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

/** A field, whether the given value asks for something that this server does not do, and the sentence then. */
export interface Unsupported {
  readonly param: string;
  readonly asksForIt: (value: unknown) => boolean;
  readonly sentence: string;
}

export function refuseUnsupported(body: JsonObject, rows: readonly Unsupported[]): void {
  for (const { param, asksForIt, sentence } of rows) {
    const value = body[param];
    if (value !== undefined && value !== null && asksForIt(value)) throw wrongField(param, sentence);
  }
}
