// The body of POST /v1/completions: prompts as texts or tokens, and what is asked of their answers; or a refusal that names
// the first wrong field. Must never guess and never turn a text into tokens (text-completion.ts does).
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
import { asObject, type JsonObject, readBoolean, readInteger, wrongField } from './json-fields.ts';
import { type Passage, parsePassages } from './passages.ts';

const PROMPTS_MAX = 64;
/** Prompts times `n`: answers to one request. */
const ANSWERS_MAX = 128;
/** OpenAI's default for this path. */
const TOKENS_DEFAULT = 16;

export interface CompletionRequest extends AnswerWishes {
  /** At least one. */
  readonly prompts: readonly Passage[];
  readonly tokensMax: number;
  /** Each answer begins with its prompt. */
  readonly echo: boolean;
}

export function parseCompletionRequest(json: unknown): CompletionRequest {
  const body = asObject(json);
  if (body === undefined) throw wrongField('body', 'The body must be one JSON object.');
  checkModelField(body);
  refuseUnsupported(body, unsupported);
  const stream = readBoolean(body, 'stream');
  const choices = parseChoices(body);
  checkBestOf(body, choices);
  const alternatives = readInteger(body, 'logprobs', 0, ALTERNATIVES_MAX);
  return {
    prompts: parsePrompts(body, choices),
    stream,
    includeUsage: parseIncludeUsage(body, stream),
    choices,
    tokensMax: readInteger(body, 'max_tokens', 1, TOKENS_MAX) ?? TOKENS_DEFAULT,
    stops: parseStops(body.stop),
    sampling: parseSampling(body),
    alternatives,
    echo: parseEcho(body, alternatives),
  };
}

function parsePrompts(body: JsonObject, choices: number): readonly Passage[] {
  const prompts = parsePassages(body, 'prompt', PROMPTS_MAX);
  if (prompts.length * choices > ANSWERS_MAX) {
    throw wrongField('prompt', `One request may ask for at most ${ANSWERS_MAX} answers: prompts times \`n\`.`);
  }
  return prompts;
}

/** Generating more answers than are given back is not done here. */
function checkBestOf(body: JsonObject, choices: number): void {
  const bestOf = body.best_of;
  if (bestOf === undefined || bestOf === null || bestOf === choices) return;
  throw wrongField('best_of', '`best_of` must be left out or equal `n`: this model server gives back every answer.');
}

function parseEcho(body: JsonObject, alternatives: number | undefined): boolean {
  const echo = readBoolean(body, 'echo');
  if (echo && alternatives !== undefined) {
    throw wrongField('echo', '`echo` cannot be combined with `logprobs`: prompts are not scored by this model server.');
  }
  return echo;
}

const unsupported: readonly Unsupported[] = [
  {
    param: 'suffix',
    asksForIt: (value) => value !== '',
    sentence: 'This model server does not insert text before a `suffix`: leave it out.',
  },
];
