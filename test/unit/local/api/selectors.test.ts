import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseContinueToken, renderContinueToken } from '../../../../src/local/api/continue-token.ts';
import { eventDefinition } from '../../../../src/local/api/kinds/event.ts';
import { parseFieldSelector, parseLabelSelector, selectedName } from '../../../../src/local/api/selectors.ts';
import { ApiError } from '../../../../src/local/api/status-error.ts';

const labelled = (labels: object) => ({ metadata: { labels } });

test('label selectors: every form, and how they meet objects without the label', () => {
  const rows: [string, object, boolean][] = [
    ['', {}, true],
    ['a=b', { a: 'b' }, true],
    ['a = b', { a: 'b' }, true],
    ['a==b', { a: 'c' }, false],
    ['a!=b', { a: 'c' }, true],
    ['a!=b', {}, true],
    ['a in (b,c)', { a: 'c' }, true],
    ['a in ( b , c )', { a: 'b' }, true],
    ['a in (b)', {}, false],
    ['a notin (b,c)', { a: 'b' }, false],
    ['a notin (b,c)', {}, true],
    ['a', { a: '' }, true],
    ['a', {}, false],
    ['!a', {}, true],
    ['! a', { a: 'x' }, false],
    ['a=', { a: '' }, true],
    ['x.dev/a=b,c in (d),!e', { 'x.dev/a': 'b', c: 'd' }, true],
    ['x.dev/a=b,c in (d,f),!e', { 'x.dev/a': 'b', c: 'f', e: '' }, false],
    ['constructor', {}, false],
  ];
  for (const [selector, labels, expected] of rows)
    assert.equal(parseLabelSelector(selector)(labelled(labels)), expected, `${selector} ${JSON.stringify(labels)}`);
});

test('what is no label selector is 400', () => {
  for (const selector of [
    'a=(',
    '=b',
    'a in b',
    'a in (b',
    'a b',
    'a=b c',
    'a in (b c)',
    ',',
    'a,,b',
    'a=b=c',
    'x'.repeat(5000),
  ])
    assert.throws(() => parseLabelSelector(selector), ApiError, selector);
});

test('field selectors: equality, escapes, and only what the kind offers', () => {
  const event = { metadata: { name: 'a,b' }, involvedObject: { name: 'x=y' }, type: 'Normal' };
  const holds = (selector: string) => parseFieldSelector(eventDefinition, selector)(event);
  assert.equal(holds('type=Normal'), true);
  assert.equal(holds('type!=Normal'), false);
  assert.equal(holds('involvedObject.name=x\\=y,metadata.name=a\\,b'), true);
  assert.equal(holds('reason='), true);
  for (const bad of ['spec.nodeName=a', 'type', 'type in (a)', '__proto__=a'])
    assert.throws(() => holds(bad), ApiError, bad);
});

test('no text makes a selector throw anything but a refusal, or take long', () => {
  const text = fc.string({ unit: fc.constantFrom(...'ab=!,() \\.-/in'), maxLength: 60 });
  fc.assert(
    fc.property(text, (selector) => {
      for (const parse of [() => parseLabelSelector(selector), () => parseFieldSelector(eventDefinition, selector)]) {
        try {
          parse()(labelled({ a: 'b' }));
        } catch (error) {
          assert.ok(error instanceof ApiError, String(error));
        }
      }
    }),
    { numRuns: 2000 },
  );
  for (const hostile of [
    `${'a'.repeat(4000)}!`,
    `a in (${','.repeat(4000)}`,
    ','.repeat(4000),
    `a=${'-'.repeat(4000)}`,
  ]) {
    const startMs = performance.now();
    assert.throws(() => parseLabelSelector(hostile), ApiError);
    assert.ok(performance.now() - startMs < 500, hostile.slice(0, 20));
  }
});

test('the name that a field selector asks for', () => {
  assert.equal(selectedName('metadata.name=demo'), 'demo');
  assert.equal(selectedName('metadata.name==demo'), 'demo');
  for (const other of [undefined, '', 'metadata.name!=demo', 'metadata.name=a,type=b', 'metadata.name=a/b'])
    assert.equal(selectedName(other), undefined);
});

test('a continue token gives back its place; others are 400', () => {
  fc.assert(
    fc.property(fc.nat(), fc.string({ maxLength: 300 }), (version, after) => {
      assert.deepEqual(parseContinueToken(renderContinueToken({ version, after })), { version, after });
    }),
  );
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  for (const token of [
    'x',
    encode({}),
    encode({ v: '1', after: '' }),
    encode({ v: 1.5, after: '' }),
    encode(null),
    'a'.repeat(4000),
  ])
    assert.throws(() => parseContinueToken(token), ApiError);
});
