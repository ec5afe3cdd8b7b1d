// The reader of canonical frames and the relay behind it: whatever the cuts, the same frames and the same bytes.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FRAME_BYTES_MAX, frameKinds } from '../../../src/api/data-path.ts';
import { createRelay } from '../../../src/router/stream/relay.ts';
import { createFrameReader, FrameError, frameData } from '../../../src/router/upstream/frames.ts';

interface Sent {
  readonly kind: (typeof frameKinds)[number];
  readonly data: string;
}

function render(frames: readonly Sent[]): Buffer {
  return Buffer.from(frames.map(({ kind, data }, index) => `: ${index + 1} ${kind}\ndata: ${data}\n\n`).join(''));
}

/** Cuts the bytes at the given places. */
function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((start, index) => bytes.subarray(start, at[index] ?? bytes.length));
}

const chunk = (text: string) => JSON.stringify({ id: 'a', choices: [{ delta: { content: text } }] });
const usage = JSON.stringify({ id: 'a', choices: [], usage: { prompt_tokens: 3, completion_tokens: 2 } });
const whole = (texts: readonly string[]): Sent[] => [
  { kind: 'role', data: '{"id":"a","role":1}' },
  { kind: 'other', data: '{"id":"a","other":1}' },
  ...texts.map((text) => ({ kind: 'content' as const, data: chunk(text) })),
  { kind: 'finish', data: '{"id":"a","finish":1}' },
  { kind: 'usage', data: usage },
  { kind: 'done', data: '[DONE]' },
];

interface Relayed {
  text: string;
  pieces: number;
  usages: number;
  firsts: number;
  state: string;
}

function relay(pieces: readonly Buffer[], options: { includeUsage?: boolean; note?: string } = {}): Relayed {
  const seen: Relayed = { text: '', pieces: 0, usages: 0, firsts: 0, state: '' };
  const through = createRelay({
    stream: {
      send(events, hasContent) {
        assert.equal(hasContent, true);
        seen.text += Buffer.concat(events).toString('utf8');
        seen.pieces += 1;
      },
    },
    includeUsage: options.includeUsage ?? false,
    preludeBytesMax: 1000,
    note: () => options.note,
    onFirstContent() {
      seen.firsts += 1;
    },
    onUsage() {
      seen.usages += 1;
    },
  });
  const reader = createFrameReader();
  for (const piece of pieces) through.take(reader.push(piece));
  seen.state = through.state();
  return seen;
}

describe('canonical frames', () => {
  test('are the same however the bytes are cut', () => {
    const data = fc.string({ unit: 'grapheme' }).map((text) => JSON.stringify(text));
    const frame = fc.record({ kind: fc.constantFrom(...frameKinds), data }, { noNullPrototype: true });
    fc.assert(
      fc.property(fc.array(frame), fc.array(fc.nat()), (frames, cuts) => {
        const reader = createFrameReader();
        const read = cutAt(render(frames), cuts).flatMap((piece) => reader.push(piece));
        assert.deepEqual(
          read.map((each) => ({ kind: each.kind, data: frameData(each) })),
          frames,
        );
        assert.equal(
          Buffer.concat(read.map((each) => each.bytes)).toString(),
          frames.map((each) => `data: ${each.data}\n\n`).join(''),
        );
      }),
    );
  });

  test('one byte at a time', () => {
    const bytes = render(whole(['é', '🙂']));
    const reader = createFrameReader();
    const read = [...bytes].flatMap((byte) => reader.push(Uint8Array.of(byte)));
    assert.equal(read.length, 7);
  });

  test('that are out of order or out of form are refused', () => {
    for (const text of [
      ': 2 role\ndata: {}\n\n',
      ': 1 nothing\ndata: {}\n\n',
      'data: {}\n\n',
      ': 1 role\nevent: x\n\n',
      ': 1 role\ndata: {\ndata: }\n\n',
      ': 1 role\n\n',
      '\n\n',
    ]) {
      assert.throws(() => createFrameReader().push(Buffer.from(text)), FrameError, text);
    }
  });

  test('that are too large are refused before they are whole', () => {
    const reader = createFrameReader();
    const piece = Buffer.alloc(65_536, 0x78);
    assert.throws(() => {
      for (let bytes = 0; bytes <= FRAME_BYTES_MAX + piece.length; bytes += piece.length) reader.push(piece);
    }, FrameError);
  });

  test('random bytes are refused or wait for more, never anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          assert.deepEqual(createFrameReader().push(bytes), []);
        } catch (error) {
          assert.ok(error instanceof FrameError);
        }
      }),
    );
  });
});

describe('the relay', () => {
  test('writes the same bytes however the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string(), { minLength: 1 }),
        fc.array(fc.nat()),
        fc.boolean(),
        (texts, cuts, includeUsage) => {
          const frames = whole(texts);
          const expected = frames.filter(({ kind }) => includeUsage || kind !== 'usage');
          const seen = relay(cutAt(render(frames), cuts), { includeUsage });
          assert.equal(seen.text, expected.map(({ data }) => `data: ${data}\n\n`).join(''));
          assert.deepEqual([seen.state, seen.firsts, seen.usages], ['whole', 1, 1]);
        },
      ),
    );
  });

  test('writes nothing before the first content', () => {
    const frames = whole(['a']);
    assert.equal(relay([render(frames.slice(0, 2))]).pieces, 0);
    assert.equal(relay([render(frames.slice(0, 3))]).pieces, 1);
  });

  test('puts a note into the first content chunk and into no other', () => {
    const { text } = relay([render(whole(['a', 'b']))], { note: '{"attempts":2}' });
    const chunks = text.split('\n\n').filter((line) => line.includes('content'));
    assert.deepEqual(JSON.parse(chunks[0]?.slice(6) ?? ''), { stoker: { attempts: 2 }, ...JSON.parse(chunk('a')) });
    assert.equal(text.match(/stoker/g)?.length, 1);
  });

  test('keeps the error of a stream that failed back for the judge', () => {
    const error = JSON.stringify({ error: { code: 'upstream_failed', message: 'Gone.', type: '', param: null } });
    const seen = relay([render([...whole(['a']).slice(0, 3), { kind: 'error', data: error }])]);
    assert.equal(seen.state, 'failed');
    assert.doesNotMatch(seen.text, /error/);
  });

  test('refuses frames after the end, and an answer without content', () => {
    assert.throws(() => relay([render([...whole(['a']), { kind: 'other', data: '{}' }])]), FrameError);
    assert.throws(
      () =>
        relay([
          render([
            { kind: 'role', data: '{}' },
            { kind: 'done', data: '[DONE]' },
          ]),
        ]),
      FrameError,
    );
    const endless = Array.from({ length: 100 }, () => ({ kind: 'other' as const, data: '{"a":"bcdefgh"}' }));
    assert.throws(() => relay([render(endless)]), FrameError);
  });
});
