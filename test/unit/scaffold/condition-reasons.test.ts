import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import ts from 'typescript';
import { conditionReasons } from '../../../src/api/condition-reasons.ts';
import { conditionTypes } from '../../../src/api/condition-types.ts';

const repository = join(import.meta.dirname, '../../..');
const sources = [
  'src/controller/**/*.ts',
  'src/core/plan/slot-trouble.ts',
  'src/agent/*.ts',
  'src/engine/{engine-error,folder-weights,llama-weights}.ts',
  'src/stager/**/*.ts',
  'src/ports/weights.ts',
];

/** Which argument of these is a reason. */
const reasonArgument: Readonly<Record<string, number>> = { verdict: 2, no: 0, event: 1, StageError: 0, EngineError: 0 };
/** Errors whose name becomes the reason. */
const namedErrors = ['ProbeMismatch', 'StepTimeout'];
/** A refusal of the data path and words of Kubernetes: no condition has them. */
const others = new Set(['RouterOutdated', 'StaleIncarnation', 'False', 'True']);

function wordsIn(node: ts.Node): string[] {
  const isComparison = ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.EqualsEqualsEqualsToken;
  if (isComparison) return [];
  const own = ts.isStringLiteral(node) && /^[A-Z][A-Za-z]+$/.test(node.text) ? [node.text] : [];
  const inner: string[] = [];
  node.forEachChild((child) => {
    inner.push(...wordsIn(child));
  });
  return [...own, ...inner];
}

/** What is assigned to, or listed as, a `reason` in this node itself. */
function reasonsOf(node: ts.Node): string[] {
  const isReason = 'name' in node && (node.name as ts.Node | undefined)?.getText() === 'reason';
  if (ts.isPropertyAssignment(node) && isReason) return wordsIn(node.initializer);
  if (ts.isPropertySignature(node) && isReason && node.type !== undefined) return wordsIn(node.type);
  if (ts.isBindingElement(node) && isReason && node.initializer !== undefined) return wordsIn(node.initializer);
  if (ts.isTypeAliasDeclaration(node) && /(?:Stage|Engine)\w*Reason$/.test(node.name.text)) return wordsIn(node.type);
  if (ts.isCallExpression(node) || ts.isNewExpression(node)) {
    const at = reasonArgument[node.expression.getText()];
    const argument = at === undefined ? undefined : node.arguments?.[at];
    return argument === undefined ? [] : wordsIn(argument);
  }
  return [];
}

function reasonsIn(path: string): string[] {
  const text = readFileSync(join(repository, path), 'utf8');
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    found.push(...reasonsOf(node));
    node.forEachChild(visit);
  };
  visit(tree);
  return found;
}

const inCode = new Map<string, string>();
for (const path of globSync(sources, { cwd: repository })) {
  for (const reason of reasonsIn(path)) if (!others.has(reason)) inCode.set(reason, path);
}
for (const reason of namedErrors) inCode.set(reason, 'src/agent/climb.ts');

test('every reason in the code has a row that says what it means', () => {
  const lacking = [...inCode].filter(([reason]) => !Object.hasOwn(conditionReasons, reason));
  assert.deepEqual(
    lacking.map(([reason, path]) => `${reason} of ${path}: add a row to src/api/condition-reasons.ts`),
    [],
  );
  assert.ok(inCode.size > 60, `${inCode.size} reasons were found`);
});

test('every row is about a reason that the code has', () => {
  const all = globSync('src/**/*.ts', { cwd: repository }).filter((path) => path !== 'src/api/condition-reasons.ts');
  const text = all.map((path) => readFileSync(join(repository, path), 'utf8')).join('\n');
  const unknown = Object.keys(conditionReasons).filter((reason) => !text.includes(`'${reason}'`));
  assert.deepEqual(unknown, []);
});

test('every condition type of the code is listed', () => {
  const listed = new Set(conditionTypes.map(({ type }) => type));
  for (const { where } of Object.values(conditionReasons)) {
    for (const part of where.split(';').filter((one) => !one.includes('Event'))) {
      const [kind = '', ...types] = part.trim().split(/,? /);
      for (const type of types) {
        assert.ok(listed.has(type), `${type} of ${part}`);
        assert.ok(
          conditionTypes.some((one) => one.kind === kind && one.type === type),
          `${kind} ${type}`,
        );
      }
    }
  }
});

test('sentences are short and end as sentences do', () => {
  for (const [reason, { meaning, remedy }] of Object.entries(conditionReasons)) {
    assert.match(meaning, /\.$/, reason);
    assert.ok(remedy === '' || remedy.endsWith('.'), reason);
  }
});
