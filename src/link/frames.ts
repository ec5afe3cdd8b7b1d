// Bytes to messages and back. Every frame is untrusted: one JSON object, checked by the schema of its type.
// A type that this release does not know is ignored, because messages only grow. Never throws on what came in.
import type { z } from 'zod';
import { LINK_FRAME_BYTES_MAX } from '../api/link.ts';
import { CLOSE_REASON_BYTES_MAX } from './bounds.ts';

/** A union of messages told apart by `type`, as src/api/link.ts has them. */
type MessageUnion = z.ZodType & {
  readonly options: readonly { readonly shape: { readonly type: z.ZodLiteral<string> } }[];
};

export type Frame<Message> =
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'unknown'; readonly type: string }
  | { readonly kind: 'bad'; readonly reason: string };

export type FrameParser<Message> = (bytes: Buffer, isBinary: boolean) => Frame<Message>;

export function createFrameParser<Union extends MessageUnion>(union: Union): FrameParser<z.infer<Union>> {
  const known = new Set(union.options.map((option) => option.shape.type.value));
  return (bytes, isBinary) => {
    const object = parseObject(bytes, isBinary);
    if (typeof object === 'string') return { kind: 'bad', reason: object };
    const type = object.type;
    if (typeof type !== 'string') return { kind: 'bad', reason: 'the message has no type' };
    if (!known.has(type)) return { kind: 'unknown', type: type.slice(0, 64) };
    const parsed = union.safeParse(object);
    return parsed.success
      ? { kind: 'message', message: parsed.data }
      : { kind: 'bad', reason: issueSentence(type, parsed.error) };
  };
}

/** The object in the frame, or a sentence that says why there is none. */
export function parseObject(bytes: Buffer, isBinary: boolean): Record<string, unknown> | string {
  if (isBinary) return 'the frame is binary, not JSON text';
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    return 'the frame is not JSON';
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'the frame is not a JSON object';
  // JSON.parse gives plain objects with string keys.
  return value as Record<string, unknown>;
}

/** Where and how the message breaks its schema; names fields, never their values. */
export function issueSentence(type: string, error: z.ZodError): string {
  const issue = error.issues[0];
  const place = issue === undefined ? '' : ` at ${issue.path.join('.') || 'the top'}: ${issue.message}`;
  return `bad ${type}${place}`;
}

/** The text of a message, or undefined when it is larger than a frame may be. */
export function renderFrame(message: object): string | undefined {
  const text = JSON.stringify(message);
  const isTooLong = text.length > LINK_FRAME_BYTES_MAX || Buffer.byteLength(text) > LINK_FRAME_BYTES_MAX;
  return isTooLong ? undefined : text;
}

/** Cuts a sentence to what a close frame can carry, without splitting a character. */
export function closeReason(sentence: string): string {
  if (Buffer.byteLength(sentence) <= CLOSE_REASON_BYTES_MAX) return sentence;
  return new TextDecoder().decode(Buffer.from(sentence).subarray(0, CLOSE_REASON_BYTES_MAX - 4)).replace(/�$/, '');
}
