// Sets our names on an engine's answer to /v1/embeddings, which may have many megabytes: only the short members are read and
// replaced, the vectors pass as they are. Pure.
import type { AnswerNames } from '../../core/stream/canonical-frames.ts';
import { parseJsonObject } from '../../lib/json-text.ts';
import type { MemberRange, MemberScan } from './member-scan.ts';

/** Longer than any member that is read; a vector list is only looked at from its start. */
const SHORT_BYTES_MAX = 4096;
const OPEN_ARRAY = 0x5b;

/** The whole body in parts. Undefined when it is no list of vectors. */
export function nameEmbeddings(body: Buffer, scan: MemberScan, names: AnswerNames): readonly Buffer[] | undefined {
  const found = scan.end();
  if (found === undefined) return undefined;
  const members = new Map<string, MemberRange>();
  for (const range of found.members) {
    const key = readKey(body, range);
    if (key === undefined || members.has(key)) return undefined;
    members.set(key, range);
  }
  const data = members.get('data');
  if (data === undefined || firstByte(body, data) !== OPEN_ARRAY) return undefined;
  const own = { id: names.id, model: names.model, system_fingerprint: names.systemFingerprint };
  const kept = [...members].filter(([key]) => !Object.hasOwn(own, key));
  const comma = Buffer.from(',');
  return [
    Buffer.from(JSON.stringify(own).slice(0, -1)),
    ...kept.flatMap(([, { keyStart, valueEnd }]) => [comma, body.subarray(keyStart, valueEnd)]),
    Buffer.from('}'),
  ];
}

function readKey(body: Buffer, { keyStart, valueStart }: MemberRange): string | undefined {
  if (valueStart - keyStart > SHORT_BYTES_MAX) return undefined;
  // With a value that is one digit it is an object of one member.
  const one = parseJsonObject(`{${body.toString('utf8', keyStart, valueStart)}0}`);
  return one === undefined ? undefined : Object.keys(one)[0];
}

function firstByte(body: Buffer, { valueStart, valueEnd }: MemberRange): number | undefined {
  const start = body.subarray(valueStart, Math.min(valueEnd, valueStart + SHORT_BYTES_MAX));
  return start.find((byte) => byte > 0x20);
}
