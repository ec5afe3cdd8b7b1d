// The part of kubectl's JSONPath that printer columns and scale paths use: members, quoted members, indexes, `[*]` and
// `[?(@.member=="value")]`. Parsed once per column; reading never fails, it finds nothing.
import { isObject, member, valueAt } from './json-value.ts';

type Step =
  | { readonly type: 'member'; readonly name: string }
  | { readonly type: 'index'; readonly at: number }
  | { readonly type: 'all' }
  | { readonly type: 'where'; readonly path: readonly string[]; readonly equals: unknown };

export type JsonPath = readonly Step[];

const stepPatterns: readonly { readonly pattern: RegExp; readonly read: (match: RegExpExecArray) => Step }[] = [
  {
    pattern: /^\.((?:[^.[\]\\]|\\.)+)/,
    read: ([, name = '']) => ({ type: 'member', name: name.replace(/\\(.)/g, '$1') }),
  },
  { pattern: /^\['([^']+)'\]/, read: ([, name = '']) => ({ type: 'member', name }) },
  { pattern: /^\["([^"]+)"\]/, read: ([, name = '']) => ({ type: 'member', name }) },
  { pattern: /^\[(-?\d{1,9})\]/, read: ([, at = '0']) => ({ type: 'index', at: Number(at) }) },
  { pattern: /^\[\*\]/, read: () => ({ type: 'all' }) },
  {
    pattern: /^\[\?\(\s*@((?:\.[A-Za-z0-9_-]+)+)\s*==\s*("[^"]*"|'[^']*'|-?\d+|true|false)\s*\)\]/,
    read: ([, path = '', literal = '']) => ({
      type: 'where',
      path: path.slice(1).split('.'),
      equals: parseLiteral(literal),
    }),
  },
];

function parseLiteral(text: string): unknown {
  if (/^["']/.test(text)) return text.slice(1, -1);
  return text === 'true' || text === 'false' ? text === 'true' : Number(text);
}

/** Throws an Error when the path is not of the part above: definitions are ours, so that is a mistake of ours. */
export function parseJsonPath(text: string): JsonPath {
  const steps: Step[] = [];
  let rest = text.replace(/^\{(.*)\}$/s, '$1');
  while (rest !== '') {
    const found = stepPatterns
      .map(({ pattern, read }) => ({ match: pattern.exec(rest), read }))
      .find(({ match }) => match !== null);
    if (found?.match == null) throw new Error(`the JSONPath ${text} cannot be read at ${rest}`);
    steps.push(found.read(found.match));
    rest = rest.slice(found.match[0].length);
  }
  return steps;
}

/** Everything that the path leads to. */
export function readJsonPath(path: JsonPath, value: unknown): readonly unknown[] {
  return path.reduce<readonly unknown[]>((found, step) => found.flatMap((item) => takeStep(step, item)), [value]);
}

function takeStep(step: Step, value: unknown): readonly unknown[] {
  switch (step.type) {
    case 'member':
      return present(member(value, step.name));
    case 'index':
      return Array.isArray(value) ? present(value.at(step.at)) : [];
    case 'all':
      return membersOf(value);
    case 'where':
      return membersOf(value).filter((item) => valueAt(item, step.path) === step.equals);
  }
}

function membersOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  return isObject(value) ? Object.values(value) : [];
}

function present(value: unknown): readonly unknown[] {
  return value === undefined || value === null ? [] : [value];
}

/** `.spec.scaling.minAwake` as its members, for paths that are written through. */
export function plainPath(text: string): readonly string[] {
  return parseJsonPath(text).map((step) => {
    if (step.type === 'member') return step.name;
    throw new Error(`the path ${text} must name members only`);
  });
}
