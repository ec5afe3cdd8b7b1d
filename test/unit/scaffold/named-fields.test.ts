// Sentences for people name fields by their path. Every `spec.…` in a text of the code, and every field that is said to be in
// such a path, must be in the schema of one of our kinds: of the one that is named after it, where one is.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import ts from 'typescript';
import { resourceDefinitions } from '../../../src/api/crd.ts';
import type { StructuralSchema } from '../../../src/api/structural-schema.ts';

const repository = join(import.meta.dirname, '../../..');
const sources = ['src/{api,agent,cli,controller,core,engine,kube,main,router,stager}/**/*.ts'];
/** What is filled in stands for one name, or for nothing that is known here. */
const FILLED = '\u0000';
const PATH = /\bspec(?:\.[a-z][A-Za-z0-9]*)+/g;
const IN_PATH = /\b([a-z][A-Za-z]*(?:(?:, | and | or )[a-z][A-Za-z]*)*) in (spec(?:\.[a-z][A-Za-z0-9]*)*)/g;

type Fields = Readonly<Record<string, StructuralSchema>>;

const schemas = new Map<string, StructuralSchema>(resourceDefinitions().map(({ kind, schema }) => [kind, schema]));

function fieldsOf(schema: StructuralSchema | undefined): Fields {
  return schema?.properties ?? (schema?.items === undefined ? {} : fieldsOf(schema.items));
}

function has(schema: StructuralSchema, path: string): boolean {
  let at: StructuralSchema | undefined = schema;
  for (const name of path.split('.')) {
    const fields: Fields = fieldsOf(at);
    if (!Object.hasOwn(fields, name)) return at?.additionalProperties !== undefined;
    at = fields[name];
  }
  return true;
}

/** Those of `paths` that none of the kinds has. `after` is what follows in the sentence. */
function lacking(paths: readonly string[], after: string): string[] {
  const [, named = ''] = /^,? of the (Pool|Model|ModelRevision)\b/.exec(after) ?? [];
  const kinds = [...schemas].filter(([kind]) => named === '' || kind === named);
  return paths.filter((path) => !kinds.some(([, schema]) => has(schema, path)));
}

function problemsIn(text: string): string[] {
  const single = [...text.matchAll(PATH)].flatMap(({ 0: path, index }) =>
    lacking([path], text.slice(index + path.length)),
  );
  const within = [...text.matchAll(IN_PATH)].flatMap(({ 0: whole, 1: names = '', 2: path = '', index }) => {
    const fields = names.split(/, | and | or /).filter((name) => /[A-Z]/.test(name));
    return lacking(
      fields.map((name) => `${path}.${name}`),
      text.slice(index + whole.length),
    );
  });
  return [...single, ...within];
}

function textsIn(path: string): string[] {
  const tree = ts.createSourceFile(path, readFileSync(join(repository, path), 'utf8'), ts.ScriptTarget.Latest, true);
  const texts: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node)) texts.push(node.text);
    if (ts.isTemplateExpression(node)) {
      texts.push([node.head.text, ...node.templateSpans.map(({ literal }) => literal.text)].join(FILLED));
    }
    node.forEachChild(visit);
  };
  visit(tree);
  return texts;
}

test('a field that is not there is found, under a path, in one, and of the wrong kind', () => {
  assert.deepEqual(problemsIn('Change securityContext in spec.pod of the Pool.'), ['spec.pod.securityContext']);
  assert.deepEqual(problemsIn('Set spec.pod.nodeSelector or spec.pod.node.'), ['spec.pod.node']);
  assert.deepEqual(problemsIn('See priorityClassName and memoryBytes in spec.pod.'), []);
  assert.deepEqual(problemsIn('Set spec.servedName of the Pool.'), ['spec.servedName']);
  assert.deepEqual(problemsIn('Set spec.servedName of the Model.'), []);
  assert.deepEqual(problemsIn(`Set spec.version.weights.${FILLED}.`), []);
});

test('every field that a sentence of the code names is in a schema', () => {
  const texts = globSync(sources, { cwd: repository }).flatMap((path) => textsIn(path).map((text) => ({ path, text })));
  const named = texts.filter(({ text }) => /\bspec\.[a-z]/.test(text));
  assert.ok(named.length > 60, `${named.length} texts name a field`);
  assert.deepEqual(
    named.flatMap(({ path, text }) => problemsIn(text).map((field) => `${path}: no kind has ${field}, in: ${text}`)),
    [],
  );
});
