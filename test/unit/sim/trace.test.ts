// Trace files: the formats that are read, and every way in which a file is refused with its line.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { multiplyTrace, parseTrace } from '../../../src/sim/trace/parse-trace.ts';
import { TraceError } from '../../../src/sim/trace/trace-error.ts';

const azure = 'TIMESTAMP,ContextTokens,GeneratedTokens';

test('the Azure format keeps fractions of a millisecond and begins at 0', () => {
  const trace = parseTrace(
    'a.csv',
    `${azure}\n2023-11-16 18:17:03.9799600,4808,10\r\n2023-11-16 18:17:04.0318600,110,27\n`,
  );
  assert.deepEqual(
    trace.requests.map(({ promptTokens, outputTokens, model }) => [promptTokens, outputTokens, model]),
    [
      [4808, 10, 'model'],
      [110, 27, 'model'],
    ],
  );
  assert.equal(trace.requests[0]?.atMs, 0);
  assert.ok(Math.abs((trace.requests[1]?.atMs ?? 0) - 51.9) < 1e-3);
});

test('the plain format has seconds, any order of columns, and a model where there are several', () => {
  const text = '\uFEFFmodel,timestamp,output,prompt\nchat,0.5,7,100\ncode/small,2,1,20\n';
  assert.deepEqual(parseTrace('b.csv', text).requests, [
    { atMs: 0, model: 'chat', promptTokens: 100, outputTokens: 7 },
    { atMs: 1500, model: 'code/small', promptTokens: 20, outputTokens: 1 },
  ]);
});

test('the Mooncake format is told by its content and passes over what it does not use', () => {
  const text = '{"timestamp": 27000, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47]}\n';
  assert.deepEqual(parseTrace('any.txt', text).requests, [
    { atMs: 0, model: 'model', promptTokens: 6955, outputTokens: 52 },
  ]);
});

const refused: readonly [string, string, RegExp][] = [
  ['no such columns', 'time,in,out\n1,2,3\n', /^f:1: .*must name the columns/],
  ['too few columns', 'timestamp,prompt,output\n1,2,3\n2,3\n', /^f:3: there are 2 columns and the first line names 3/],
  ['a negative time', 'timestamp,prompt,output\n-1,2,3\n', /^f:2: the time is not a time/],
  ['a time that goes back', 'timestamp,prompt,output\n5,2,3\n4.5,2,3\n', /^f:3: the time is 500 ms before/],
  ['an empty line', 'timestamp,prompt,output\n5,2,3\n\n6,2,3\n', /^f:3: the line is empty/],
  ['several, the first of them', 'timestamp,prompt,output\n5,2,3\r\n \r\n\r\n6,2,3\n', /^f:3: the line is empty/],
  ['an empty first line', '\ntimestamp,prompt,output\n5,2,3\n', /^f:1: the line is empty/],
  ['a hole', 'timestamp,prompt,output\n0,1,1\n90000,1,1\n', /^f:3: nothing came for 25\.0 hours/],
  [
    'tokens that are no number',
    'timestamp,prompt,output\n0,many,1\n',
    /^f:2: the prompt tokens must be a whole number/,
  ],
  ['a part of a token', 'timestamp,prompt,output\n0,1,1.5\n', /^f:2: the output tokens must be a whole number/],
  ['far too many tokens', 'timestamp,prompt,output\n0,99999999999,1\n', /^f:2: the prompt tokens .*10000000/],
  ['a model that is no name', 'timestamp,prompt,output,model\n0,1,1,<b>\n', /^f:2: the model is not a name/],
  ['a date that is none', `${azure}\n2023-13-45 99:00:00,1,1\n`, /^f:2: the time is not a time/],
  ['no request', 'timestamp,prompt,output\n', /^f holds no request/],
  ['nothing at all', '', /^f holds no request/],
  [
    'a line that is no object',
    '{"timestamp":0,"input_length":1,"output_length":1}\n[1]\n',
    /^f:2: it is not a JSON object/,
  ],
  [
    'an empty line among JSON lines',
    '{"timestamp":0,"input_length":1,"output_length":1}\n\n{"timestamp":1,"input_length":1,"output_length":1}\n',
    /^f:2: the line is empty/,
  ],
  ['text for a number', '{"timestamp":"0","input_length":1,"output_length":1}\n', /^f:1: .*must be numbers/],
  ['a negative time in JSON', '{"timestamp":-2,"input_length":1,"output_length":1}\n', /^f:1: the time is not a time/],
];

for (const [what, text, sentence] of refused) {
  test(`refused with its line: ${what}`, () => {
    assert.throws(
      () => parseTrace('f', text),
      (error) => error instanceof TraceError && sentence.test(error.message),
    );
  });
}

test('empty lines at the end are no gap', () => {
  for (const end of ['', '\n', '\r\n', '\n\n \n'])
    assert.equal(parseTrace('f', `timestamp,prompt,output\n5,2,3${end}`).requests.length, 1);
});

test('whatever the bytes are, they make a trace in order of time or one sentence', () => {
  const cell = fc.oneof(
    fc.nat().map(String),
    fc.string(),
    fc.constantFrom('-1', '1e3', '2023-11-16 18:17:03', '{', ''),
  );
  const lines = fc.array(fc.array(cell, { maxLength: 4 }).map((cells) => cells.join(',')));
  const header = fc.constantFrom(azure, 'timestamp,prompt,output', '{"timestamp":1}', 'nonsense');
  fc.assert(
    fc.property(header, lines, (first, rest) => {
      try {
        const { requests } = parseTrace('f', [first, ...rest].join('\n'));
        assert.ok(requests.every(({ atMs }, index) => atMs >= (requests[index - 1]?.atMs ?? 0)));
      } catch (error) {
        assert.ok(error instanceof TraceError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});

test('copies of a request come before the next one', () => {
  const trace = parseTrace('b.csv', 'timestamp,prompt,output\n0,1,1\n4,1,1\n');
  assert.deepEqual(
    multiplyTrace(trace, 4).requests.map(({ atMs }) => atMs),
    [0, 1000, 2000, 3000, 4000, 4000, 4000, 4000],
  );
});
