import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { nameEmbeddings } from '../../../../src/agent/data-path/embeddings-answer.ts';
import { createMemberScan } from '../../../../src/agent/data-path/member-scan.ts';

const names = { id: 'embd-1', model: 'served "name"', systemFingerprint: 'revision-1' };

function pass(body: Buffer, cuts: readonly number[] = []): string | undefined {
  const scan = createMemberScan();
  const places = [0, ...[...cuts].sort((a, b) => a - b), body.length];
  for (const [index, end] of places.slice(1).entries()) scan.push(body.subarray(places[index], end));
  const parts = nameEmbeddings(body, scan, names);
  return parts === undefined ? undefined : Buffer.concat(parts).toString('utf8');
}

const rename = (text: string) => pass(Buffer.from(text));
const data = [{ object: 'embedding', index: 0, embedding: [0.5, -1e-3], note: 'a "]}" \\ ü' }];

describe('the names of an embeddings answer', () => {
  test('are ours, and everything else is as it came', () => {
    const given = { object: 'list', data, model: 'engine', usage: { prompt_tokens: 3, total_tokens: 3 } };
    const { model: _model, ...rest } = given;
    assert.deepEqual(JSON.parse(rename(JSON.stringify(given, null, 2)) ?? ''), {
      ...rest,
      id: 'embd-1',
      model: 'served "name"',
      system_fingerprint: 'revision-1',
    });
  });

  test('are the same however the bytes are cut', () => {
    const body = Buffer.from(JSON.stringify({ id: 'x', data, 'k"ey\\': [], model: 'm', usage: {} }));
    const whole = pass(body);
    assert.ok(whole);
    fc.assert(fc.property(fc.array(fc.nat(body.length)), (cuts) => assert.equal(pass(body, cuts), whole)));
  });

  const wrong = ['', '[]', '{}', '{"data":1}', '{"data":{}}', '{"data":[]', '{"data":[]}x', '{"data":[],}', '{"data"}'];
  for (const text of [...wrong, '{"data":[],"data":[]}', '{"data":[],"model":"a","model":"b"}', '"{\\"data\\":[]}"']) {
    test(`are refused to ${text}`, () => assert.equal(rename(text), undefined));
  }

  test('property: any object with a list of data keeps what it says', () => {
    const members = fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 20, noNullPrototype: true });
    fc.assert(
      fc.property(members, fc.array(fc.jsonValue()), (others, list) => {
        const { __proto__: _prototype, ...given } = others;
        const text = JSON.stringify({ ...given, data: list });
        const expected = { ...JSON.parse(text), id: 'embd-1', model: names.model, system_fingerprint: 'revision-1' };
        assert.deepEqual(JSON.parse(rename(text) ?? ''), expected);
      }),
    );
  });

  test('property: garbage is refused or stays JSON as far as its brackets say', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('{', '}', '[', ']', '"', ':', ',', 'data', '1', '\\') }),
        (text) => {
          const named = rename(text);
          if (named !== undefined) assert.match(named, /^\{"id":"embd-1".*\}$/);
        },
      ),
    );
  });

  test('a member list without end is refused', () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`k${index}`, 1]));
    assert.equal(rename(JSON.stringify({ data, ...many })), undefined);
  });
});
