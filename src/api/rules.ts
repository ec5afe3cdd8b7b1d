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
    cel: "self.pinPolicy != 'RequireDigest' || !has(self.version.weights) || !has(self.version.weights.file) || has(self.version.weights.file.sha256)",
    message: 'version.weights.file.sha256 must be set, because pinPolicy is RequireDigest',
    // Simulated weights are their profile and seed: there is nothing left to resolve.
    holds: ({ pinPolicy, version: { weights } }) =>
      pinPolicy !== 'RequireDigest' || weights?.file === undefined || weights.file.sha256 !== undefined,
  },
  {
    at: ['spec'],
    cel: "self.pinPolicy != 'RequireDigest' || !has(self.version.remote)",
    message: 'pinPolicy must be ResolveOnce beside version.remote, because what an address serves has no digest',
    holds: ({ pinPolicy, version: { remote } }) => pinPolicy !== 'RequireDigest' || remote === undefined,
  },
  {
    at: ['spec', 'version'],
    cel: 'has(self.weights) != has(self.remote)',
    message: 'must hold exactly one of weights and remote',
    holds: ({ version: { weights, remote } }) => (weights === undefined) !== (remote === undefined),
  },
  {
    at: ['spec', 'version'],
    cel: "(self.engine.name == 'Remote') == has(self.remote)",
    message: 'engine.name Remote and remote go together: set both or neither',
    holds: ({ version: { engine, remote } }) => (engine.name === 'Remote') === (remote !== undefined),
  },
  {
    at: ['spec', 'version'],
    cel: '!has(self.remote) || (!has(self.contextLength) && !has(self.sampling))',
    message: 'contextLength and sampling may not be set beside remote: the address decides them',
    holds: ({ version: { remote, contextLength, sampling } }) =>
      remote === undefined || (contextLength === undefined && sampling === undefined),
  },
  {
    at: ['spec', 'version', 'weights'],
    cel: 'has(self.file) != has(self.simulated)',
    message: 'must hold exactly one of file and simulated',
    holds: ({ version: { weights } }) =>
      weights === undefined || (weights.file === undefined) !== (weights.simulated === undefined),
  },
  {
    at: ['spec', 'version'],
    cel: "(self.engine.name == 'Sim') == (has(self.weights) && has(self.weights.simulated))",
    message: 'engine.name Sim and weights.simulated go together: set both or neither',
    holds: ({ version: { engine, weights } }) => (engine.name === 'Sim') === (weights?.simulated !== undefined),
  },
  {
    at: ['spec'],
    cel: "!has(self.simulation) || self.version.engine.name == 'Sim'",
    message: 'simulation may be set only when version.engine.name is Sim',
    holds: ({ simulation, version }) => simulation === undefined || version.engine.name === 'Sim',
  },
  {
    at: ['spec', 'simulation'],
    cel: 'self.faults.all(fault, has(fault.at) || has(fault.chanceBasisPoints))',
    message: 'each of the faults must say when it strikes: set at, chanceBasisPoints or both',
    holds: ({ simulation }) =>
      (simulation?.faults ?? []).every(({ at, chanceBasisPoints }) => (at ?? chanceBasisPoints) !== undefined),
  },
];

export const modelRevisionRules: readonly Rule<ModelRevisionSpec>[] = [
  {
    at: ['spec'],
    cel: 'self == oldSelf',
    message: 'cannot be changed: a revision is one pinned version; change spec.version of the Model instead',
    holds: (spec, before) => before === undefined || isDeepStrictEqual(spec, before),
  },
  {
    at: ['spec', 'weights'],
    cel: 'has(self.path) != has(self.simulated)',
    message: 'must hold exactly one of path and simulated',
    holds: ({ weights }) => weights === undefined || (weights.path === undefined) !== (weights.simulated === undefined),
  },
  {
    at: ['spec'],
    cel: "(self.engine.name == 'Sim') == (has(self.weights) && has(self.weights.simulated))",
    message: 'engine.name Sim and weights.simulated go together: set both or neither',
    holds: ({ engine, weights }) => (engine.name === 'Sim') === (weights?.simulated !== undefined),
  },
  {
    at: ['spec'],
    cel: "has(self.weights) != has(self.remote) && (self.engine.name == 'Remote') == has(self.remote)",
    message: 'must hold weights, or remote and the engine Remote',
    holds: ({ weights, remote, engine }) =>
      (weights === undefined) !== (remote === undefined) && (engine.name === 'Remote') === (remote !== undefined),
  },
  {
    at: ['spec'],
    cel: 'has(self.remote) || has(self.contextLength)',
    message: 'contextLength must be set, except beside remote',
    holds: ({ remote, contextLength }) => remote !== undefined || contextLength !== undefined,
  },
];
