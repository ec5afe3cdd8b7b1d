// What a schema alone cannot say: rules over several fields, and over before and after. Each rule is written once as CEL
// for a real API server and once as a function for everybody else, with one sentence; a test holds the two side by side.
import { isDeepStrictEqual } from 'node:util';
import { OBJECT_NAME_CHARS_MAX, OBJECT_NAME_PATTERN } from './group.ts';
import type { ModelSpec } from './model.ts';
import type { ModelRevisionSpec } from './model-revision.ts';
import type { PoolSpec } from './pool.ts';

/** `Spec` is the spec with defaults filled in: that is what CEL sees, too. */
export interface Rule<Spec> {
  /** The field that carries the rule, below the object: `['spec', 'servedName']`. */
  readonly at: readonly string[];
  readonly cel: string;
  /** A sentence about the field, as people read it after the path. */
  readonly message: string;
  /** `before` is undefined while the object is made. */
  holds(spec: Spec, before: Spec | undefined): boolean;
}

const RESERVED_PREFIX = 'task/';
/** The longest DNS label. */
const REVISION_NAME_CHARS_MAX = 63;

/** The rule for names: they become parts of Pod names, revision names and label values. */
export interface NameRule {
  readonly at: readonly [];
  readonly cel: string;
  readonly message: string;
  holds(name: string): boolean;
}

function nameRule(charsMax: number): NameRule {
  return {
    at: [],
    cel: `size(self.metadata.name) <= ${charsMax} && self.metadata.name.matches('${OBJECT_NAME_PATTERN.source}')`,
    message: `metadata.name must have at most ${charsMax} characters: lower-case letters, digits and -, with a letter or digit at both ends`,
    holds: (name) => name.length <= charsMax && OBJECT_NAME_PATTERN.test(name),
  };
}

/** A name that people choose leaves room for what is appended to it; a revision's name has it appended. */
export const chosenNameRule = nameRule(OBJECT_NAME_CHARS_MAX);
export const revisionNameRule = nameRule(REVISION_NAME_CHARS_MAX);

export const poolRules: readonly Rule<PoolSpec>[] = [
  {
    at: ['spec', 'slots'],
    cel: 'self.min <= self.max',
    message: 'min must not be above max',
    holds: ({ slots }) => slots.min <= slots.max,
  },
];

export const modelRules: readonly Rule<ModelSpec>[] = [
  {
    at: ['spec', 'servedName'],
    cel: 'self == oldSelf',
    message: 'cannot be changed, because callers use it; make another Model',
    holds: (spec, before) => before === undefined || spec.servedName === before.servedName,
  },
  {
    at: ['spec', 'servedName'],
    cel: `!self.startsWith('${RESERVED_PREFIX}')`,
    message: `must not begin with ${RESERVED_PREFIX}, which is kept for task classes`,
    holds: ({ servedName }) => !servedName.startsWith(RESERVED_PREFIX),
  },
  {
    at: ['spec', 'scaling'],
    cel: 'self.minAwake <= self.maxAwake',
    message: 'minAwake must not be above maxAwake',
    holds: ({ scaling }) => scaling.minAwake <= scaling.maxAwake,
  },
  {
    at: ['spec'],
    cel: "self.pinPolicy != 'RequireDigest' || has(self.version.weights.file.sha256)",
    message: 'version.weights.file.sha256 must be set, because pinPolicy is RequireDigest',
    holds: ({ pinPolicy, version }) => pinPolicy !== 'RequireDigest' || version.weights.file.sha256 !== undefined,
  },
];

export const modelRevisionRules: readonly Rule<ModelRevisionSpec>[] = [
  {
    at: ['spec'],
    cel: 'self == oldSelf',
    message: 'cannot be changed: a revision is one pinned version; change spec.version of the Model instead',
    holds: (spec, before) => before === undefined || isDeepStrictEqual(spec, before),
  },
];
