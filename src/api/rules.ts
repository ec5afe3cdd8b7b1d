// What a schema alone cannot say: rules over several fields, and over before and after. Each rule is written once as CEL
// for a real API server and once as a function for everybody else, with one sentence; a test holds the two side by side.
import { isDeepStrictEqual } from 'node:util';
import { OBJECT_NAME_CHARS_MAX, OBJECT_NAME_PATTERN } from './group.ts';
import type { ModelSpec } from './model.ts';
import type { ModelRevisionSpec } from './model-revision.ts';
import type { PoolSpec } from './pool.ts';
import type { Figures, Rule } from './rule.ts';
import { thirdPartyRules } from './third-party-rules.ts';
import { isDownloaded, mutablePartOf } from './weight-sources.ts';

const weightSources = ['file', 'folder', 'http', 'hub', 's3', 'oci', 'simulated'] as const;
const RESERVED_PREFIX = 'task/';
/** What a request that finds nothing awake waits at least: news of it, and the fastest wake there is. */
const ORDER_MILLIS = 100;
const WAKE_MILLIS_MIN = 150;
const COLD_MILLIS_MIN = ORDER_MILLIS + WAKE_MILLIS_MIN;
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

/** `2 is above 1`, of two whole numbers. */
function above<Spec>(low: string, high: string, of: (spec: Spec) => readonly [number, number]): Figures<Spec> {
  return { form: '%d is above %d', cel: [low, high], of };
}

const spareRules: readonly Rule<PoolSpec>[] = [
  {
    at: ['spec', 'spare'],
    cel: '!has(self.max) || self.min <= self.max',
    message: 'min must not be above max',
    figures: above('self.min', 'self.max', ({ spare }) => [spare?.min ?? 0, spare?.max ?? 0]),
    holds: ({ spare }) => spare?.max === undefined || spare.min <= spare.max,
  },
  {
    at: ['spec', 'spare'],
    cel: '!has(self.hitBasisPoints) || !has(self.cost)',
    message: 'must hold at most one of hitBasisPoints and cost',
    holds: ({ spare }) => spare?.hitBasisPoints === undefined || spare.cost === undefined,
  },
  {
    at: ['spec'],
    cel: '!has(self.spare) || self.spare.min <= self.slots.max',
    message: 'spare.min must not be above slots.max',
    figures: above('self.spare.min', 'self.slots.max', ({ spare, slots }) => [spare?.min ?? 0, slots.max]),
    holds: ({ spare, slots }) => spare === undefined || spare.min <= slots.max,
  },
  {
    at: ['spec'],
    cel: '!has(self.spare) || !has(self.spare.max) || self.spare.max <= self.slots.max',
    message: 'spare.max must not be above slots.max',
    figures: above('self.spare.max', 'self.slots.max', ({ spare, slots }) => [spare?.max ?? 0, slots.max]),
    holds: ({ spare, slots }) => spare?.max === undefined || spare.max <= slots.max,
  },
];

export const poolRules: readonly Rule<PoolSpec>[] = [
  {
    at: ['spec', 'weights'],
    cel: '!has(self.claimName) || !has(self.hostPath)',
    message: 'must not hold both claimName and hostPath: weights lie in one place',
    holds: ({ weights }) => weights?.claimName === undefined || weights.hostPath === undefined,
  },
  {
    at: ['spec', 'compileCache'],
    cel: 'has(self.claimName) != has(self.hostPath)',
    message: 'must hold exactly one of claimName and hostPath',
    holds: ({ compileCache }) =>
      compileCache === undefined || (compileCache.claimName === undefined) !== (compileCache.hostPath === undefined),
  },
  {
    at: ['spec', 'slots'],
    cel: 'self.min <= self.max',
    message: 'min must not be above max',
    figures: above('self.min', 'self.max', ({ slots }) => [slots.min, slots.max]),
    holds: ({ slots }) => slots.min <= slots.max,
  },
  ...spareRules,
  {
    at: ['spec'],
    cel: '!has(self.sleeperBytes) || !has(self.pod) || has(self.pod.memoryBytes)',
    message: 'pod.memoryBytes must be set, because sleeperBytes comes on top of it',
    holds: ({ sleeperBytes, pod }) => sleeperBytes === undefined || pod === undefined || pod.memoryBytes !== undefined,
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
    figures: above('self.minAwake', 'self.maxAwake', ({ scaling }) => [scaling.minAwake, scaling.maxAwake]),
    holds: ({ scaling }) => scaling.minAwake <= scaling.maxAwake,
  },
  {
    at: ['spec', 'scaling'],
    cel: `!has(self.firstTokenMillis) || self.minAwake > 0 || self.firstTokenMillis >= ${COLD_MILLIS_MIN}`,
    message: `firstTokenMillis must be at least ${COLD_MILLIS_MIN} while minAwake is 0, because ${ORDER_MILLIS} ms may pass until a wake is ordered and no wake is faster than ${WAKE_MILLIS_MIN} ms`,
    figures: {
      form: `%d is below ${ORDER_MILLIS} + ${WAKE_MILLIS_MIN}`,
      cel: ['self.firstTokenMillis'],
      of: ({ scaling }) => [scaling.firstTokenMillis ?? 0],
    },
    holds: ({ scaling: { firstTokenMillis, minAwake } }) =>
      firstTokenMillis === undefined || minAwake > 0 || firstTokenMillis >= COLD_MILLIS_MIN,
  },
  {
    at: ['spec'],
    cel: "self.pinPolicy != 'RequireDigest' || !has(self.version.weights) || !has(self.version.weights.folder) || has(self.version.weights.folder.sha256)",
    message: 'version.weights.folder.sha256 must be set, because pinPolicy is RequireDigest',
    holds: ({ pinPolicy, version: { weights } }) =>
      pinPolicy !== 'RequireDigest' || weights?.folder === undefined || weights.folder.sha256 !== undefined,
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
    cel: `[${weightSources.map((name) => `has(self.${name})`).join(', ')}].exists_one(isSet, isSet)`,
    message: `must hold exactly one of ${weightSources.join(', ')}`,
    holds: ({ version: { weights } }) =>
      weights === undefined || weightSources.filter((name) => weights[name] !== undefined).length === 1,
  },
  {
    at: ['spec', 'version', 'weights'],
    cel: '!has(self.credentialsSecretName) || (!has(self.file) && !has(self.folder) && !has(self.simulated))',
    message: 'credentialsSecretName may be set only beside weights that are downloaded',
    holds: ({ version: { weights } }) => weights?.credentialsSecretName === undefined || isDownloaded(weights),
  },
  {
    at: ['spec', 'version'],
    cel: '!has(self.weights) || has(self.weights.file) || has(self.weights.folder) || has(self.weights.simulated) || has(self.contextLength)',
    message: 'contextLength must be set beside weights that are downloaded: it is not known before they are here',
    holds: ({ version: { weights, contextLength } }) =>
      weights === undefined || !isDownloaded(weights) || contextLength !== undefined,
  },
  {
    at: ['spec'],
    cel: "self.pinPolicy != 'RequireDigest' || !has(self.version.weights) || ((!has(self.version.weights.hub) || self.version.weights.hub.revision.matches('^[0-9a-f]{40}$')) && (!has(self.version.weights.oci) || self.version.weights.oci.reference.contains('@sha256:')))",
    message:
      'version.weights must name a commit of 40 digits in hub.revision, or end oci.reference in @sha256:DIGEST, because pinPolicy is RequireDigest',
    holds: ({ pinPolicy, version: { weights } }) =>
      pinPolicy !== 'RequireDigest' || weights === undefined || mutablePartOf(weights) === undefined,
  },
  {
    at: ['spec'],
    cel: "self.pinPolicy != 'RequireDigest' || !has(self.version.engine.image) || self.version.engine.image.contains('@sha256:')",
    message: 'version.engine.image must end in @sha256:DIGEST, because pinPolicy is RequireDigest',
    holds: ({ pinPolicy, version: { engine } }) =>
      pinPolicy !== 'RequireDigest' || engine.image === undefined || engine.image.includes('@sha256:'),
  },
  ...thirdPartyRules,
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
    cel: '[has(self.path), has(self.simulated), has(self.fileSet)].exists_one(isSet, isSet)',
    message: 'must hold exactly one of path, simulated and fileSet',
    holds: ({ weights }) =>
      weights === undefined ||
      [weights.path, weights.simulated, weights.fileSet].filter((one) => one !== undefined).length === 1,
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
