// The body of POST /v1/chat/completions: what is asked, in our own words, or a refusal that names the first wrong field.
// A field that would change the answer and that this server cannot honour is refused; fields of bookkeeping are ignored.
// Must never guess: no default of sampling is chosen here (sampling.ts does).
import {
  ALTERNATIVES_MAX,
  type AnswerWishes,
  checkModelField,
  parseChoices,
  parseIncludeUsage,
  parseSampling,
  parseStops,
  refuseUnsupported,
  TOKENS_MAX,
  type Unsupported,
} from './answer-fields.ts';
import { type ChatMessage, parseMessages } from './chat-messages.ts';
import { asObject, type JsonObject, readBoolean, readInteger, wrongField } from './json-fields.ts';

export interface ChatRequest extends AnswerWishes {
  readonly messages: readonly ChatMessage[];
  readonly tokensMax: number | undefined;
}

/** What the engine can do beyond text. */
export interface ChatAbilities {
  /** Tools may be described, called and answered; the caller reads those fields itself. */
  readonly tools: boolean;
}

export function parseChatRequest(json: unknown, abilities: ChatAbilities = { tools: false }): ChatRequest {
  const body = asObject(json);
  if (body === undefined) throw wrongField('body', 'The body must be one JSON object.');
  checkModelField(body);
  refuseUnsupported(body, abilities.tools ? otherThanText : [...otherThanText, ...toolFields]);
  const stream = readBoolean(body, 'stream');
  return {
    messages: parseMessages(body, abilities),
    stream,
    includeUsage: parseIncludeUsage(body, stream),
    choices: parseChoices(body),
    tokensMax:
      readInteger(body, 'max_completion_tokens', 1, TOKENS_MAX) ?? readInteger(body, 'max_tokens', 1, TOKENS_MAX),
    stops: parseStops(body.stop),
    sampling: parseSampling(body),
    alternatives: parseAlternatives(body),
  };
}

/** `top_logprobs` only goes with `logprobs: true`. */
function parseAlternatives(body: JsonObject): number | undefined {
  const asked = readBoolean(body, 'logprobs');
  const alternatives = readInteger(body, 'top_logprobs', 0, ALTERNATIVES_MAX);
  if (asked) return alternatives ?? 0;
  if (alternatives === undefined) return undefined;
  throw wrongField('top_logprobs', '`top_logprobs` may only be set when `logprobs` is true.');
}

const isFilledOrStrange = (value: unknown) => !Array.isArray(value) || value.length > 0;
const isWanted = (value: unknown) => value !== 'none' && value !== 'auto';
const noTools = 'This model server does not call tools';
const callsNothing = `${noTools}: leave the field out, or send "none".`;
const describesNothing = `${noTools}: leave the field out, or send an empty list.`;

const toolFields: readonly Unsupported[] = [
  { param: 'tools', asksForIt: isFilledOrStrange, sentence: describesNothing },
  { param: 'tool_choice', asksForIt: isWanted, sentence: callsNothing },
];

const otherThanText: readonly Unsupported[] = [
  { param: 'functions', asksForIt: isFilledOrStrange, sentence: describesNothing },
  { param: 'function_call', asksForIt: isWanted, sentence: callsNothing },
  {
    param: 'response_format',
    asksForIt: (value) => asObject(value)?.type !== 'text',
    sentence: 'This model server answers in plain text: `response_format` may only have the type "text".',
  },
  {
    param: 'modalities',
    asksForIt: (value) => !Array.isArray(value) || value.some((item) => item !== 'text'),
    sentence: 'This model server answers in text alone: `modalities` may only hold "text".',
  },
  { param: 'audio', asksForIt: () => true, sentence: 'This model server has no audio: leave `audio` out.' },
  {
    param: 'web_search_options',
    asksForIt: () => true,
    sentence: 'This model server does not search the web: leave `web_search_options` out.',
  },
];
