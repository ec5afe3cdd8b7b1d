// The house rules that no off-the-shelf linter states: each takes one file and returns sentences that say what is wrong
// and what to use instead. Rules read the syntax tree where a comment or a string could fool a pattern.
// They never read the disk; tidy.test.ts feeds them.
import { basename, extname } from 'node:path';
import ts from 'typescript';

export interface TidyFile {
  /** From the root of the repository, with forward slashes. */
  path: string;
  text: string;
}

export type TidyRule = (file: TidyFile) => string[];

interface BannedName {
  /** A global (`setTimeout`) or one member of a global (`Date.now`, `console.*`). */
  name: string;
  allowed: readonly RegExp[];
  instead: string;
}

/** Modules that are the whole program of a child process read their own environment, as src/main does. */
const environmentReaders = [/^src\/main\//, /^src\/cli\//, /(^|[/-])entry\.ts$/];
const clockAndRng = [/^src\/lib\/clock\.ts$/, /^src\/lib\/rng\.ts$/];
/** src/console runs in a browser: it has no undici and no clock of ours. */
const browser = /^src\/console\//;

const bannedNames: readonly BannedName[] = [
  { name: 'setTimeout', allowed: clockAndRng, instead: 'take a Clock and use clock.after or delay (src/lib/clock.ts)' },
  { name: 'setInterval', allowed: clockAndRng, instead: 'take a Clock and use every (src/lib/clock.ts)' },
  { name: 'Date.now', allowed: clockAndRng, instead: 'take a Clock and use clock.nowMs or clock.wallMs' },
  { name: 'performance.now', allowed: clockAndRng, instead: 'take a Clock and use clock.nowMs' },
  { name: 'new Date()', allowed: clockAndRng, instead: 'take a Clock and use new Date(clock.wallMs())' },
  { name: 'AbortSignal.timeout', allowed: clockAndRng, instead: 'take a Clock and use deadlineSignal' },
  { name: 'Math.random', allowed: clockAndRng, instead: 'take an Rng (src/lib/rng.ts)' },
  { name: 'console.*', allowed: [/^src\/cli\//], instead: 'take a logger; only commands print' },
  { name: 'process.env', allowed: environmentReaders, instead: 'take the value as a parameter from src/main' },
  { name: 'fetch', allowed: [], instead: 'use a pool of undici' },
];

const forbiddenNames = new Set(['utils', 'util', 'helpers', 'helper', 'common', 'shared', 'types', 'misc']);
const sourceLinesMax = 600;

// In pieces, so that this file does not break its own rule.
const markers = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'].join('|')})\\b`);
const unfinished = new RegExp(['not', 'implemented'].join(' '), 'i');
const machinePaths = new RegExp(`(?<![\\w.*)}-])/(${['wo' + 'rk', 'ro' + 'ot'].join('|')})/`);

export function isSource(path: string): boolean {
  return path.startsWith('src/') && /\.tsx?$/.test(path);
}

export function isTest(path: string): boolean {
  return path.startsWith('test/') && path.endsWith('.test.ts');
}

function isGenerated(text: string): boolean {
  return /generated (by|from)/i.test(text.split('\n', 5).join('\n'));
}

function parse(file: TidyFile): ts.SourceFile {
  return ts.createSourceFile(file.path, file.text, ts.ScriptTarget.Latest, true);
}

function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  node.forEachChild((child) => walk(child, visit));
}

function at(tree: ts.SourceFile, node: ts.Node): string {
  return `${tree.fileName}:${tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1}`;
}

/** `globalThis.x` and `window.x` count as `x`. */
function withoutGlobal(text: string): string {
  return text.replace(/^(globalThis|global|window)\./, '');
}

/** Whether the identifier names a member or declares something (`socket.setTimeout`, `fetch(key) {}`), not the global. */
function isMemberName(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) {
    return parent.name === node && !/^(globalThis|global|window)$/.test(parent.expression.getText());
  }
  return 'name' in parent && parent.name === node && !ts.isImportSpecifier(parent) && !ts.isBindingElement(parent);
}

function usedNames(node: ts.Node): string[] {
  if (ts.isIdentifier(node)) return isMemberName(node) ? [] : [node.text];
  if (ts.isPropertyAccessExpression(node)) {
    const object = withoutGlobal(node.expression.getText().replaceAll(/\s/g, ''));
    return [`${object}.${node.name.text}`, `${object}.*`];
  }
  if (ts.isNewExpression(node) && (node.arguments ?? []).length === 0) {
    return [`new ${withoutGlobal(node.expression.getText())}()`];
  }
  return [];
}

export const banned: TidyRule = (file) => {
  if (!isSource(file.path) || browser.test(file.path)) return [];
  const rows = bannedNames.filter((row) => !row.allowed.some((pattern) => pattern.test(file.path)));
  const tree = parse(file);
  const findings: string[] = [];
  walk(tree, (node) => {
    const names = usedNames(node);
    for (const row of rows) {
      if (names.includes(row.name)) findings.push(`${at(tree, node)} uses ${row.name}: ${row.instead}`);
    }
  });
  return findings;
};

export const size: TidyRule = ({ path, text }) => {
  const lines = text.split('\n').length - 1;
  if (!isSource(path) || lines <= sourceLinesMax || isGenerated(text)) return [];
  return [`${path} has ${lines} lines, more than ${sourceLinesMax}: split it by what it decides`];
};

export const leftovers: TidyRule = ({ path, text }) => {
  if (!/\.(ts|tsx|js|cjs|mjs|sh|md|ya?ml|tpl|toml|json)$/.test(path) || path === 'package-lock.json') return [];
  return text.split('\n').flatMap((line, index) => {
    const found = markers.exec(line) ?? unfinished.exec(line);
    return found ? [`${path}:${index + 1} says "${found[0]}": finish it, or open an issue and take it out`] : [];
  });
};

export const opening: TidyRule = ({ path, text }) => {
  if (!isSource(path) || /^(#![^\n]*\n)?\s*(\/\/|\/\*)/.test(text)) return [];
  return [`${path} opens without a comment: say in 2 to 5 lines what it decides or owns and what it must never do`];
};

export const naming: TidyRule = ({ path }) => {
  const parts = path.split('/');
  const names = [...parts.slice(0, -1), basename(path, extname(path)).replace(/\.test$/, '')];
  return names
    .filter((name) => forbiddenNames.has(name))
    .map((name) => `${path} is named "${name}": name the noun that it holds`);
};

export const paths: TidyRule = ({ path, text }) =>
  text.split('\n').flatMap((line, index) => {
    const found = machinePaths.exec(line);
    return found ? [`${path}:${index + 1} holds the machine path "${found[0]}": use a path from the repository`] : [];
  });

/** How the node leaves tests out: `test.only(`, `t.skip(`, `{ skip: true }`; undefined when it does not. */
function leftOutBy(node: ts.Node): string | undefined {
  if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) {
    const name = node.expression.name.text;
    return ['skip', 'only', 'to' + 'do'].includes(name) ? `.${name}()` : undefined;
  }
  if (!ts.isPropertyAssignment(node) || node.initializer.kind !== ts.SyntaxKind.TrueKeyword) return undefined;
  const name = node.name.getText();
  return ['skip', 'to' + 'do'].includes(name) ? `${name}: true` : undefined;
}

export const allTestsRun: TidyRule = (file) => {
  if (!isTest(file.path)) return [];
  const tree = parse(file);
  const findings: string[] = [];
  walk(tree, (node) => {
    const name = leftOutBy(node);
    if (name !== undefined) findings.push(`${at(tree, node)} says ${name}: every test runs; take it out or mend it`);
  });
  return findings;
};

/** Keys of `export const outcomes = { … }`. Throws when the table is no longer there to read. */
export function outcomeCodesIn(text: string): string[] {
  const table = /export const outcomes\b[^{]*\{\n([\s\S]*?)\n\}/.exec(text)?.[1];
  if (table === undefined) throw new Error('src/api/outcomes.ts has no "export const outcomes = {" to read codes from');
  return [...table.matchAll(/^ {2}'?([a-z][a-z0-9_]*)'?:/gm)].map((match) => match[1] ?? '');
}

/** Metric names in a file of src/telemetry: `name: 'stoker_…'`. */
export function metricNamesIn(text: string): string[] {
  return [...text.matchAll(/name:\s*['"`](stoker_[a-z0-9_]+)['"`]/g)].map((match) => match[1] ?? '');
}

/** The names that a page does not mention as a whole word. */
export function undocumented(names: readonly string[], page: string): string[] {
  const words = new Set(page.match(/[a-z0-9_]+/g));
  return names.filter((name) => !words.has(name));
}

export const tidyRules: Record<string, TidyRule> = {
  'banned calls stay in their folder': banned,
  'source files stay under 600 lines': size,
  'nothing is left over': leftovers,
  'every module opens with a comment': opening,
  'names say what is inside': naming,
  'no machine paths': paths,
  'every test runs': allTestsRun,
};
