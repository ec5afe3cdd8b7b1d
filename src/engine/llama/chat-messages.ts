// The conversation of a chat request: roles and plain text, in order.
// Must never let anything but text through: images and audio are refused by the place where they stand, and so are tool calls
// and their results when the engine has no tools.
import { asObject, type JsonObject, readArray, wrongField } from './json-fields.ts';

const MESSAGES_MAX = 4096;
const PARTS_MAX = 4096;

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly text: string;
}

export function parseMessages(body: JsonObject, { tools }: { readonly tools: boolean }): readonly ChatMessage[] {
  const items = readArray(body, 'messages', MESSAGES_MAX);
  if (items.length === 0) throw wrongField('messages', '`messages` must hold at least one message.');
  return items.map((item, index) => parseMessage(item, `messages[${index}]`, tools));
}

function parseMessage(item: unknown, at: string, tools: boolean): ChatMessage {
  const message = asObject(item);
  if (message === undefined) throw wrongField(at, `\`${at}\` must be an object.`);
  const role = parseRole(message.role, `${at}.role`, tools);
  const hasCalls = message.tool_calls !== undefined && message.tool_calls !== null;
  if (hasCalls && !tools) {
    throw wrongField(`${at}.tool_calls`, `\`${at}.tool_calls\` is not supported: this model server has no tools.`);
  }
  // What an assistant says beside its calls may be nothing.
  if (hasCalls && role === 'assistant') {
    const said = message.content ?? '';
    return { role, text: parseContent(said, `${at}.content`) + JSON.stringify(message.tool_calls) };
  }
  return { role, text: parseContent(message.content, `${at}.content`) };
}

function parseRole(role: unknown, at: string, tools: boolean): ChatMessage['role'] {
  if (role === 'system' || role === 'developer') return 'system';
  if (role === 'user' || role === 'assistant') return role;
  if (tools && role === 'tool') return role;
  throw wrongField(at, `\`${at}\` must be system, developer, user${tools ? ', tool' : ''} or assistant.`);
}

function parseContent(content: unknown, at: string): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) throw wrongField(at, `\`${at}\` must be a text or an array of text parts.`);
  if (content.length > PARTS_MAX) throw wrongField(at, `\`${at}\` may hold at most ${PARTS_MAX} parts.`);
  return content.map((part, index) => parsePart(part, `${at}[${index}]`)).join('');
}

function parsePart(item: unknown, at: string): string {
  const part = asObject(item);
  if (part?.type !== 'text') throw wrongField(at, `\`${at}\` is not text: this model reads text alone.`);
  if (typeof part.text !== 'string') throw wrongField(`${at}.text`, `\`${at}.text\` must be a text.`);
  return part.text;
}
