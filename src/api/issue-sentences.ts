// Says in plain words what a schema found wrong, and where: `spec.pools[0]` must be text, but is a number.
// Shows values of our own kinds only, cut short; they hold no secrets.
import type { z } from 'zod';

export interface Problem {
  /** The field from the top of the object, for example `spec.pools[0]`; empty for the whole. */
  readonly path: string;
  /** A sentence without its subject, which is the path. */
  readonly message: string;
}

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

const SHOWN_CHARS_MAX = 64;

/** The field's path as people write it. */
export function renderPath(path: Path): string {
  return path
    .map((step, at) => (typeof step === 'number' ? `[${step}]` : `${at === 0 ? '' : '.'}${String(step)}`))
    .join('');
}

/** One problem of each issue. `prefix` goes before the issue's own path; `value` is what was judged. */
export function renderIssues(issues: readonly Issue[], value: unknown, prefix: Path): Problem[] {
  return issues.map((issue) => ({
    path: renderPath([...prefix, ...issue.path]),
    message: renderIssue(issue, valueAt(value, issue.path)),
  }));
}

/** What lies at `path`; undefined when nothing does. */
export function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((inner, step) => {
    if (typeof inner !== 'object' || inner === null) return undefined;
    return Object.entries(inner).find(([key]) => key === String(step))?.[1];
  }, value);
}

function renderIssue(issue: Issue, value: unknown): string {
  switch (issue.code) {
    case 'invalid_type':
      return value === undefined
        ? 'is required'
        : `must be ${nameOfType(issue.expected)}, but is ${nameOfValue(value)}`;
    case 'invalid_value':
      if (value === undefined) return 'is required';
      return `must be ${issue.values.length > 1 ? 'one of ' : ''}${issue.values.map(String).join(', ')}, but is ${shorten(value)}`;
    case 'too_small':
      return `must ${renderBound(issue.origin, 'at least', Number(issue.minimum), value)}`;
    case 'too_big':
      return `must ${renderBound(issue.origin, 'at most', Number(issue.maximum), value)}`;
    case 'invalid_format':
      return renderFormat(issue, value);
    default:
      return issue.message;
  }
}

function renderBound(origin: string, side: 'at least' | 'at most', bound: number, value: unknown): string {
  if (origin === 'string') {
    if (value === '') return 'not be empty';
    return `have ${side} ${bound} ${bound === 1 ? 'character' : 'characters'}, but has ${typeof value === 'string' ? value.length : 0}`;
  }
  if (origin === 'array')
    return `have ${side} ${bound} ${bound === 1 ? 'entry' : 'entries'}, but has ${Array.isArray(value) ? value.length : 0}`;
  return `be ${side} ${bound}, but is ${shorten(value)}`;
}

/** A schema's own sentence goes first; only where it has none is the pattern shown. */
function renderFormat(issue: Extract<Issue, { code: 'invalid_format' }>, value: unknown): string {
  const own = issue.message.startsWith('Invalid') ? `must match ${issue.pattern ?? issue.format}` : issue.message;
  return `${own}, but is ${shorten(value)}`;
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'text',
  // No kind of ours has floats.
  number: 'a whole number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};

function nameOfType(expected: string): string {
  return typeNames[expected] ?? expected;
}

function nameOfValue(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'number') return Number.isInteger(value) ? 'a number' : String(value);
  if (typeof value === 'boolean') return String(value);
  return typeof value === 'string' ? `the text ${shorten(value)}` : nameOfType(typeof value);
}

function shorten(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}…` : text;
}
