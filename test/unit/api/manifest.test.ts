// What people write, and what they are told: file, line, column, field, sentence. Hostile texts end quickly.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseManifest } from '../../../src/api/manifest.ts';

const good = `# two objects
apiVersion: stoker.dev/v1alpha1
kind: Pool
metadata:
  name: default
spec: {}
---
apiVersion: stoker.dev/v1alpha1
kind: Model
metadata:
  name: demo
  labels: {team: a}
spec:
  servedName: demo
  version:
    weights:
      file:
        path: models/a.gguf
`;

function complaints(text: string): string[] {
  const { errors } = parseManifest(text, 'a.yaml');
  return errors.map(({ file, line, column, path, sentence }) => `${file}:${line}:${column ?? ''} ${path}: ${sentence}`);
}

describe('parseManifest', () => {
  test('objects come as written, without defaults, with their lines', () => {
    const { objects, errors } = parseManifest(good, 'a.yaml');
    assert.deepEqual(errors, []);
    assert.deepEqual(
      objects.map(({ kind, line }) => [kind, line]),
      [
        ['Pool', 2],
        ['Model', 8],
      ],
    );
    assert.deepEqual(objects[0]?.object.spec, {});
    assert.deepEqual(objects[1]?.object, {
      apiVersion: 'stoker.dev/v1alpha1',
      kind: 'Model',
      metadata: { name: 'demo', labels: { team: 'a' } },
      spec: { servedName: 'demo', version: { weights: { file: { path: 'models/a.gguf' } } } },
    });
  });

  test('JSON is YAML', () => {
    const object = {
      apiVersion: 'stoker.dev/v1alpha1',
      kind: 'Pool',
      metadata: { name: 'a' },
      spec: { slots: { max: 2 } },
    };
    assert.deepEqual(parseManifest(JSON.stringify(object, null, 2), 'a.json').objects[0]?.object, object);
  });

  test('nothing, comments and empty documents are no objects', () => {
    for (const text of ['', '\n', '# a\n', '---\n---\n', '---\nnull\n'])
      assert.deepEqual(parseManifest(text, 'a.yaml'), { objects: [], errors: [] }, JSON.stringify(text));
  });

  test('a bad document leaves the good ones', () => {
    const { objects, errors } = parseManifest(good.replace('servedName: demo', 'servedName: 7'), 'a.yaml');
    assert.deepEqual(
      objects.map(({ kind }) => kind),
      ['Pool'],
    );
    assert.deepEqual(errors, [
      { file: 'a.yaml', line: 14, column: 3, path: 'spec.servedName', sentence: 'must be text, but is a number' },
    ]);
  });

  test('sentences and places', () => {
    const spec = (lines: string) => good.replace('spec: {}', `spec:\n${lines}`);
    assert.deepEqual(complaints(spec('  slots: {min: 3}')), [
      'a.yaml:7:3 spec.slots: min must not be above max: 3 is above 1',
    ]);
    assert.deepEqual(complaints(spec('  slot: {}')), ['a.yaml:7:3 spec.slot: is not a field; did you mean slots?']);
    assert.deepEqual(complaints(spec('  slots:\n    min: many')), [
      'a.yaml:8:5 spec.slots.min: must be a whole number, but is the text "many"',
    ]);
    assert.deepEqual(complaints(good.replace('path: models', 'pat: models')), [
      'a.yaml:18:9 spec.version.weights.file.pat: is not a field; did you mean path?',
      'a.yaml:17:7 spec.version.weights.file.path: is required',
    ]);
    assert.deepEqual(complaints(good.replace('servedName: demo', 'servedName: demo\n  pools:\n    - a\n    - 3')), [
      'a.yaml:17:7 spec.pools[1]: must be text, but is a number',
    ]);
    assert.deepEqual(complaints(good.replace('  labels: {team: a}', '  lables: {}')), [
      'a.yaml:12:3 metadata.lables: is not a field; did you mean labels?',
    ]);
    assert.deepEqual(complaints('kind: Deployment\n'), [
      'a.yaml:1:1 kind: must be one of Pool, Model, ModelRevision, but is "Deployment"',
    ]);
    assert.deepEqual(complaints('- a\n'), ['a.yaml:1:1 : must be an object with apiVersion, kind, metadata and spec']);
    assert.deepEqual(complaints('metadata: {}\n'), ['a.yaml:1:1 kind: is required']);
  });

  test('the same object twice', () => {
    assert.deepEqual(complaints(`${good}---\n${good}`), [
      'a.yaml:24:3 metadata.name: is there twice: the Pool of line 2 has it, too',
      'a.yaml:30:3 metadata.name: is there twice: the Model of line 8 has it, too',
    ]);
  });

  test('broken YAML', () => {
    const found = parseManifest(`${good}  bad: [1\n`, 'a.yaml');
    assert.deepEqual(
      found.objects.map(({ kind }) => kind),
      ['Pool'],
    );
    assert.equal(found.errors[0]?.line, 20, 'where the bracket is missed');
    assert.match(complaints('a: 1\na: 2\n').join(), /a\.yaml:2:1 : Map keys must be unique/);
  });
});

describe('hostile texts', () => {
  test('too large, too deep, too many aliases', () => {
    assert.match(complaints('a'.repeat(1024 * 1024 + 1)).join(), /at most 1048576/);
    for (const deep of [
      '['.repeat(100_000),
      '{a: '.repeat(50_000),
      '- '.repeat(50_000),
      '  '.repeat(100).concat('a: 1'),
    ])
      assert.match(complaints(deep).join(), /nested deeper than 64/, deep.slice(0, 10));
    const bomb = ['a0: &a0 [x,x,x,x,x,x,x,x,x,x]'];
    for (let at = 1; at < 9; at += 1)
      bomb.push(
        `a${at}: &a${at} [${Array(10)
          .fill(`*a${at - 1}`)
          .join(',')}]`,
      );
    assert.match(complaints(bomb.join('\n')).join(), /aliases/);
    assert.match(complaints('a: *nobody\n').join(), /alias/i);
  });

  test('a block that goes in line by line', () => {
    const text = Array.from({ length: 400 }, (_, at) => `${' '.repeat(at)}a:`).join('\n');
    assert.match(complaints(text).join(), /nested deeper/);
  });

  test('__proto__ is a field like any other', () => {
    const found = parseManifest(good.replace('spec: {}', 'spec:\n  __proto__: {slots: {max: 9}}'), 'a.yaml');
    assert.match(found.errors[0]?.sentence ?? '', /is not a field/);
    assert.equal(Object.hasOwn(Object.prototype, 'slots'), false);
  });

  test('no text throws, and every error has a place inside it', () => {
    const pieces = fc.constantFrom(
      'kind: Pool',
      'a: ',
      '\n',
      '  ',
      '- ',
      '---\n',
      '&x ',
      '*x',
      '{',
      '}',
      '[',
      ']',
      '"',
      "'",
      '|',
      '>',
      '!!int ',
      '? ',
      ': ',
      '#',
      '\t',
      '\u0000',
      '\ud800',
      'spec:',
      'metadata:',
      '%YAML 1.2',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 30 }), (parts) => {
        const text = parts.join('');
        const lines = text.split('\n').length;
        for (const error of parseManifest(text, 'a').errors)
          assert.ok(error.line >= 1 && error.line <= lines + 1, `${error.line}`);
      }),
      { numRuns: 500 },
    );
  });
});
