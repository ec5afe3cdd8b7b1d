// Calls of tools by the simulated model: it calls one when the caller demands it (`required`, or by name), and answers in text
// otherwise. The arguments follow the declared properties, and mean nothing. The declaration is a schema of a stranger: it is
// only looked at, at its top, within bounds. Pure.
import { type AnswerShape, chatShape } from '../llama/answer-shape.ts';
import { asObject, type JsonObject, readArray, wrongField } from '../llama/json-fields.ts';
import type { Answer, AnswerSource } from './answer.ts';
import { namedRng } from './chance.ts';
import { wordsOf } from './vocabulary.ts';

const TOOLS_MAX = 128;
const PROPERTIES_MAX = 32;
const PROPERTY_NAME_CHARS_MAX = 128;
/** Characters of the arguments that one token brings. */
const CHARS_PER_TOKEN = 4;

export interface SimTool {
  readonly name: string;
  /** Name and declared type of each argument; undefined for a type that is not simple. */
  readonly properties: readonly (readonly [name: string, type: string | undefined])[];
}

/** The tool that the caller demands a call of; undefined when the answer may be text. Throws a Refusal. */
export function parseDemandedTool(json: unknown): SimTool | undefined {
  const body = asObject(json) ?? {};
  const tools = parseTools(body);
  const choice = body.tool_choice;
  if (choice === undefined || choice === null || choice === 'none' || choice === 'auto') return undefined;
  if (choice === 'required') {
    if (tools[0] === undefined)
      throw wrongField('tool_choice', '`tool_choice` demands a call, and there are no `tools`.');
    return tools[0];
  }
  const named = asObject(choice);
  const name = named?.type === 'function' ? asObject(named.function)?.name : undefined;
  if (typeof name !== 'string') {
    throw wrongField('tool_choice', '`tool_choice` must be none, auto, required, or name one function.');
  }
  const tool = tools.find((each) => each.name === name);
  if (tool === undefined) throw wrongField('tool_choice', '`tool_choice` names a function that is not in `tools`.');
  return tool;
}

function parseTools(body: JsonObject): readonly SimTool[] {
  if (body.tools === undefined || body.tools === null) return [];
  return readArray(body, 'tools', TOOLS_MAX).map((item, index) => parseTool(item, `tools[${index}]`));
}

function parseTool(item: unknown, at: string): SimTool {
  const tool = asObject(item);
  if (tool?.type !== 'function') throw wrongField(`${at}.type`, `\`${at}.type\` must be "function".`);
  const declared = asObject(tool.function);
  const name = declared?.name;
  if (typeof name !== 'string' || !/^[A-Za-z0-9_-]{1,64}$/.test(name)) {
    const place = `${at}.function.name`;
    throw wrongField(place, `\`${place}\` must have 1 to 64 letters, digits, _ or -.`);
  }
  return { name, properties: readProperties(asObject(declared?.parameters)?.properties) };
}

function readProperties(value: unknown): SimTool['properties'] {
  const entries = Object.entries(asObject(value) ?? {}).slice(0, PROPERTIES_MAX);
  return entries
    .filter(([name]) => name.length <= PROPERTY_NAME_CHARS_MAX)
    .map(([name, declared]) => {
      const type = asObject(declared)?.type;
      return [name, typeof type === 'string' ? type : undefined] as const;
    });
}

/** The arguments as pieces of JSON text; the same source gives the same ones. */
export function composeToolCall(
  tool: SimTool,
  { seed, damage, question }: AnswerSource,
  tokensMax: number,
): { readonly answer: Answer; readonly texts: readonly string[] } {
  const rng = namedRng('tool', seed, damage ?? '', question, tool.name);
  const word = () => wordsOf.noun[rng.below(wordsOf.noun.length)] ?? '';
  const argumentOf = (type: string | undefined): unknown => {
    if (type === 'number' || type === 'integer') return rng.below(100);
    if (type === 'boolean') return rng.below(2) === 0;
    if (type === 'array') return [];
    return type === 'object' ? {} : word();
  };
  const text = JSON.stringify(Object.fromEntries(tool.properties.map(([name, type]) => [name, argumentOf(type)])));
  const texts = Array.from({ length: Math.ceil(text.length / CHARS_PER_TOKEN) }, (_, index) =>
    text.slice(index * CHARS_PER_TOKEN, (index + 1) * CHARS_PER_TOKEN),
  );
  const tokens = [...texts.keys()].slice(0, tokensMax);
  return { answer: { tokens, finish: tokens.length < texts.length ? 'length' : 'stop' }, texts };
}

/** Chat chunks whose pieces of text are fragments of one call's arguments. `question` makes the call's id. */
export function toolCallShape({ name }: SimTool, question: string): AnswerShape {
  const id = `call_${namedRng('call', question, name)
    .below(2 ** 31)
    .toString(36)}`;
  const called = (args: string) => ({ id, type: 'function', function: { name, arguments: args } });
  return {
    ...chatShape,
    opening: { delta: { role: 'assistant', content: null, tool_calls: [{ index: 0, ...called('') }] }, logprobs: null },
    piece: (text) => ({ delta: { tool_calls: [{ index: 0, function: { arguments: text } }] }, logprobs: null }),
    choice: (text) => ({
      message: { role: 'assistant', content: null, refusal: null, tool_calls: [called(text)] },
      logprobs: null,
    }),
    finishReason: (finish) => (finish === 'stop' ? 'tool_calls' : finish),
  };
}
