// What a caller may say on a WebSocket: three messages, read from one JSON object with limits. Finds where a body is in the
// bytes and leaves reading it to the stage that does so for every body. What cannot be accepted has a code of a closed list.
import { fail, ok, type Result } from '../../lib/result.ts';
import { decodeText, type ObjectScan, scanBounds, scanObject } from './json-scan.ts';

export type SocketMessage =
  | { readonly type: 'chat.create'; readonly id: string; readonly bodyStart: number; readonly bodyEnd: number }
  | { readonly type: 'cancel'; readonly id: string }
  | { readonly type: 'resume'; readonly id: string };

export const messageFaultCodes = [
  'invalid_message',
  'unknown_type',
  'duplicate_id',
  'too_many_requests',
  'resume_not_supported',
] as const;
export type MessageFaultCode = (typeof messageFaultCodes)[number];

/** Why a message was not accepted. `ref` is the id that it carried, when it carried a usable one. */
export interface MessageFault {
  readonly code: MessageFaultCode;
  readonly message: string;
  readonly param: string | null;
  readonly ref: string | null;
}

/** The body inside is one level deeper than it would be on its own; fields that nobody knows are passed over. */
const bounds = { depthMax: scanBounds.depthMax + 1, membersMax: 16 };
const ID = /^[A-Za-z0-9._:-]{1,64}$/;
const types: ReadonlySet<string> = new Set<SocketMessage['type']>(['chat.create', 'cancel', 'resume']);

/** Reads one text message, which must be UTF-8 (the WebSocket protocol has that checked). */
export function parseSocketMessage(bytes: Uint8Array): Result<SocketMessage, MessageFault> {
  const scan = scanObject(bytes, bounds);
  if (!scan.ok) return invalid(`The message is not usable JSON: at byte ${scan.error.offset}, ${scan.error.sentence}.`);
  const id = readText(bytes, scan.value, 'id');
  const ref = id !== undefined && ID.test(id) ? id : null;
  const type = readText(bytes, scan.value, 'type');
  if (type === undefined) return invalid('type is missing: it is a text, for example "chat.create".', 'type', ref);
  if (!isKnown(type)) {
    const known = [...types].join(', ');
    return fault('unknown_type', { message: `There is no such type. Known are ${known}.`, param: 'type', ref });
  }
  if (ref === null) {
    return invalid('id must be a text of 1 to 64 letters, digits, dots, dashes, colons and underscores.', 'id');
  }
  return type === 'chat.create' ? readCreate(scan.value, ref) : ok({ type, id: ref });
}

function readCreate(scan: ObjectScan, id: string): Result<SocketMessage, MessageFault> {
  const body = scan.members.get('body');
  if (body?.kind !== 'object') {
    return invalid('body must be an object: what you would send to POST /v1/chat/completions.', 'body', id);
  }
  return ok({ type: 'chat.create', id, bodyStart: body.valueStart, bodyEnd: body.valueEnd });
}

/** Undefined when the field is not there or not a text. */
function readText(bytes: Uint8Array, scan: ObjectScan, key: string): string | undefined {
  const member = scan.members.get(key);
  if (member?.kind !== 'string') return undefined;
  const value: unknown = JSON.parse(decodeText(bytes, member.valueStart, member.valueEnd));
  return typeof value === 'string' ? value : undefined;
}

function isKnown(type: string): type is SocketMessage['type'] {
  return types.has(type);
}

function invalid(message: string, param: string | null = null, ref: string | null = null): Result<never, MessageFault> {
  return fault('invalid_message', { message, param, ref });
}

function fault(code: MessageFaultCode, rest: Omit<MessageFault, 'code'>): Result<never, MessageFault> {
  return fail({ code, ...rest });
}
