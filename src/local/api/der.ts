// The few forms of ASN.1 DER (X.690) that an X.509 certificate needs, written only; nothing is parsed here.

const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectId: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Any tag, with its length in the short or the long form. */
function encode(tag: number, content: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([tag]), encodeLength(content.length), content]);
}

function encodeLength(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Buffer.from([0x80 | bytes.length, ...bytes]);
}

export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return encode(tags.sequence, Buffer.concat(parts));
}

export function setOf(...parts: readonly Uint8Array[]): Buffer {
  return encode(tags.set, Buffer.concat(parts));
}

export function boolean(value: boolean): Buffer {
  return encode(tags.boolean, Buffer.from([value ? 0xff : 0]));
}

/** A whole number of 0 or more, given as big-endian bytes. */
export function integer(bytes: Uint8Array): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const trimmed = bytes.subarray(start);
  // The first bit is the sign.
  const padding = (trimmed[0] ?? 0) >= 0x80 ? [0] : [];
  return encode(tags.integer, Buffer.from([...padding, ...trimmed]));
}

/** `unusedBits` counts the bits of the last byte that mean nothing. */
export function bitString(bytes: Uint8Array, unusedBits = 0): Buffer {
  return encode(tags.bitString, Buffer.from([unusedBits, ...bytes]));
}

export function octetString(bytes: Uint8Array): Buffer {
  return encode(tags.octetString, bytes);
}

export function utf8String(text: string): Buffer {
  return encode(tags.utf8String, Buffer.from(text, 'utf8'));
}

/** `1.2.840.10045.4.3.2`: the first two arcs share a byte, the others are base 128. */
export function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return encode(tags.objectId, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(arc: number): number[] {
  const bytes = [arc % 128];
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) bytes.unshift(0x80 | (rest % 128));
  return bytes;
}

/** RFC 5280: two-digit years up to 2049, four digits from 2050 on. */
export function time(wallMs: number): Buffer {
  const digits = new Date(wallMs)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replace(/[-:T]/g, '');
  return Number(digits.slice(0, 4)) < 2050
    ? encode(tags.utcTime, Buffer.from(digits.slice(2), 'ascii'))
    : encode(tags.generalizedTime, Buffer.from(digits, 'ascii'));
}

/** `[number]` around whole values. */
export function explicitTag(number: number, content: Uint8Array): Buffer {
  return encode(0xa0 | number, content);
}

/** `[number]` in place of a value's own tag. */
export function implicitTag(number: number, content: Uint8Array): Buffer {
  return encode(0x80 | number, content);
}
