// Every rule with an object that breaks it and one that does not, and the sentences that people read.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { resourceDefinitions } from '../../../src/api/crd.ts';
import type { StructuralSchema } from '../../../src/api/structural-schema.ts';
import { findUnknownFields } from '../../../src/api/unknown-fields.ts';
import { validateObject } from '../../../src/api/validate-object.ts';

const sha256 = 'a'.repeat(64);

function pool(spec: object = {}, name = 'default') {
  return { apiVersion: 'stoker.dev/v1alpha1', kind: 'Pool', metadata: { name }, spec };
}

function model(spec: object = {}, name = 'demo') {
  const version = { weights: { file: { path: 'a.gguf' } } };
  return {
    apiVersion: 'stoker.dev/v1alpha1',
    kind: 'Model',
    metadata: { name },
    spec: { servedName: 'demo', version, ...spec },
  };
}

function revision(spec: object = {}, name = 'demo-0123456789') {
  const whole = {
    modelName: 'demo',
    digest: `v1:sha256:${sha256}`,
    weights: { path: '/a.gguf', sizeBytes: 3, sha256 },
    engine: { name: 'Llama', build: 'builtin:1' },
    contextLength: 1024,
    ...spec,
  };
  return { apiVersion: 'stoker.dev/v1alpha1', kind: 'ModelRevision', metadata: { name }, spec: whole };
}

const simulated = { profile: 'Size7B' };
const simulatedVersion = { weights: { simulated }, engine: { name: 'Sim' } };
const remote = { baseUrl: 'https://api.example.com/v1', model: 'their-model' };
const remoteVersion = { remote, engine: { name: 'Remote' } };
const baseUrlSentence =
  'must be https://HOST/PATH, or http:// on localhost, without user, password, query and fragment, for example https://api.example.com/v1';
const pair = 'engine.name Sim and weights.simulated go together: set both or neither';

interface Case {
  readonly name: string;
  readonly object: { readonly kind: string };
  readonly old?: object;
  /** `path: sentence` of each problem. */
  readonly problems: readonly string[];
}

const nameSentence = (charsMax: number) =>
  `: metadata.name must have at most ${charsMax} characters: lower-case letters, digits and -, with a letter or digit at both ends`;

const cases: readonly Case[] = [
  { name: 'an empty pool', object: pool(), problems: [] },
  { name: 'slots', object: pool({ slots: { min: 2, max: 1 } }), problems: ['spec.slots: min must not be above max'] },
  {
    name: 'slots against the default',
    object: pool({ slots: { min: 2 } }),
    problems: ['spec.slots: min must not be above max'],
  },
  { name: 'slots that are equal', object: pool({ slots: { min: 2, max: 2 } }), problems: [] },
  { name: 'a name of 52', object: pool({}, 'a'.repeat(52)), problems: [] },
  { name: 'a name of 53', object: pool({}, 'a'.repeat(53)), problems: [nameSentence(52)] },
  { name: 'a name with a dot', object: model({}, 'a.b'), problems: [nameSentence(52)] },
  { name: 'a revision name of 63', object: revision({}, 'a'.repeat(63)), problems: [] },
  { name: 'a revision name of 64', object: revision({}, 'a'.repeat(64)), problems: [nameSentence(63)] },
  { name: 'a model', object: model(), problems: [] },
  { name: 'the same servedName', object: model({ pools: ['b'] }), old: model(), problems: [] },
  {
    name: 'another servedName',
    object: model({ servedName: 'other' }),
    old: model(),
    problems: ['spec.servedName: cannot be changed, because callers use it; make another Model'],
  },
  {
    name: 'a reserved servedName',
    object: model({ servedName: 'task/a' }),
    problems: ['spec.servedName: must not begin with task/, which is kept for task classes'],
  },
  { name: 'a servedName beside the reserved ones', object: model({ servedName: 'tasks' }), problems: [] },
  {
    name: 'awake',
    object: model({ scaling: { minAwake: 2 } }),
    problems: ['spec.scaling: minAwake must not be above maxAwake'],
  },
  { name: 'awake that is equal', object: model({ scaling: { minAwake: 2, maxAwake: 2 } }), problems: [] },
  {
    name: 'a digest that is missing',
    object: model({ pinPolicy: 'RequireDigest' }),
    problems: ['spec: version.weights.file.sha256 must be set, because pinPolicy is RequireDigest'],
  },
  {
    name: 'a digest that is there',
    object: model({ pinPolicy: 'RequireDigest', version: { weights: { file: { path: 'a', sha256 } } } }),
    problems: [],
  },
  { name: 'a pool twice', object: model({ pools: ['a', 'b', 'a'] }), problems: ['spec.pools[2]: is there twice: "a"'] },
  { name: 'a simulated model', object: model({ version: simulatedVersion }), problems: [] },
  {
    name: 'a simulated model is pinned already',
    object: model({ version: simulatedVersion, pinPolicy: 'RequireDigest' }),
    problems: [],
  },
  {
    name: 'no weights',
    object: model({ version: { weights: {} } }),
    problems: ['spec.version.weights: must hold exactly one of file and simulated'],
  },
  {
    name: 'weights twice',
    object: model({ version: { ...simulatedVersion, weights: { simulated, file: { path: 'a' } } } }),
    problems: ['spec.version.weights: must hold exactly one of file and simulated'],
  },
  {
    name: 'simulated weights for a real engine',
    object: model({ version: { weights: { simulated } } }),
    problems: [`spec.version: ${pair}`],
  },
  {
    name: 'a file for the simulated engine',
    object: model({ version: { weights: { file: { path: 'a' } }, engine: { name: 'Sim' } } }),
    problems: [`spec.version: ${pair}`],
  },
  {
    name: 'a simulation',
    object: model({
      version: simulatedVersion,
      simulation: {
        faults: [
          { kind: 'Cut', at: [1, 7] },
          { kind: 'Slow', chanceBasisPoints: 100 },
        ],
        speedPercent: 900,
      },
    }),
    problems: [],
  },
  {
    name: 'a simulation of a real engine',
    object: model({ simulation: {} }),
    problems: ['spec: simulation may be set only when version.engine.name is Sim'],
  },
  {
    name: 'a fault that never strikes',
    object: model({ version: simulatedVersion, simulation: { faults: [{ kind: 'Cut' }] } }),
    problems: ['spec.simulation: each of the faults must say when it strikes: set at, chanceBasisPoints or both'],
  },
  {
    name: 'faults out of bounds',
    object: model({
      version: simulatedVersion,
      simulation: {
        faults: [
          { kind: 'Flood', at: [0] },
          { kind: 'Cut', chanceBasisPoints: 10_001 },
        ],
        speedPercent: 0,
      },
    }),
    problems: [
      'spec.simulation.faults[0].kind: must be one of Slow, HangBeforeHeaders, HangMidStream, Trickle, Cut, GarbageFrame, Crash, FailedStart, FailedWake, PartialWake, CorruptWake, OutOfMemory, FailedSleep, Leak, but is "Flood"',
      'spec.simulation.faults[0].at[0]: must be at least 1, but is 0',
      'spec.simulation.faults[1].chanceBasisPoints: must be at most 10000, but is 10001',
      'spec.simulation.speedPercent: must be at least 1, but is 0',
    ],
  },
  { name: 'a remote model', object: model({ version: remoteVersion }), problems: [] },
  {
    name: 'a remote model with its key',
    object: model({
      version: { ...remoteVersion, remote: { ...remote, apiKeySecretRef: { name: 'house-api', key: 'token' } } },
    }),
    problems: [],
  },
  {
    name: 'weights and a remote address',
    object: model({ version: { ...remoteVersion, weights: { file: { path: 'a' } } } }),
    problems: ['spec.version: must hold exactly one of weights and remote'],
  },
  {
    name: 'neither weights nor a remote address',
    object: model({ version: {} }),
    problems: ['spec.version: must hold exactly one of weights and remote'],
  },
  {
    name: 'a remote address for another engine',
    object: model({ version: { remote } }),
    problems: ['spec.version: engine.name Remote and remote go together: set both or neither'],
  },
  {
    name: 'the engine Remote with weights',
    object: model({ version: { weights: { file: { path: 'a' } }, engine: { name: 'Remote' } } }),
    problems: ['spec.version: engine.name Remote and remote go together: set both or neither'],
  },
  {
    name: 'what a remote address decides',
    object: model({ version: { ...remoteVersion, contextLength: 1024 } }),
    problems: ['spec.version: contextLength and sampling may not be set beside remote: the address decides them'],
  },
  {
    name: 'a digest of what an address serves',
    object: model({ version: remoteVersion, pinPolicy: 'RequireDigest' }),
    problems: [
      'spec: pinPolicy must be ResolveOnce beside version.remote, because what an address serves has no digest',
    ],
  },
  ...[
    'http://api.example.com/v1',
    'https://user:secret@api.example.com/v1',
    'https://api.example.com/v1?key=secret',
    'https://api.example.com/v1#a',
    'ftp://api.example.com',
    'https://',
    'https://api.example.com:port/',
    'http://localhost.example.com/v1',
    'http://127.0.0.1.example.com/v1',
    'https://api.example.com/a b',
  ].map((baseUrl) => ({
    name: `the address ${baseUrl}`,
    object: model({ version: { ...remoteVersion, remote: { ...remote, baseUrl } } }),
    problems: [`spec.version.remote.baseUrl: ${baseUrlSentence}, but is ${JSON.stringify(baseUrl)}`],
  })),
  ...['http://localhost:1234/v1', 'http://127.0.0.1/v1/', 'http://[::1]:80', 'https://[2001:db8::1]:8443/a/b'].map(
    (baseUrl) => ({
      name: `the address ${baseUrl}`,
      object: model({ version: { ...remoteVersion, remote: { ...remote, baseUrl } } }),
      problems: [],
    }),
  ),
  { name: 'a revision', object: revision(), old: revision(), problems: [] },
  {
    name: 'a remote revision',
    object: revision({
      ...{ weights: undefined, contextLength: undefined },
      ...{ remote, engine: { name: 'Remote', build: 'remote' } },
    }),
    problems: [],
  },
  {
    name: 'a revision of weights and an address',
    object: revision({ remote }),
    problems: ['spec: must hold weights, or remote and the engine Remote'],
  },
  {
    name: 'a revision without a context',
    object: revision({ contextLength: undefined }),
    problems: ['spec: contextLength must be set, except beside remote'],
  },
  {
    name: 'a simulated revision',
    object: revision({ engine: { name: 'Sim', build: 'simulated:1' }, weights: { simulated, sizeBytes: 3, sha256 } }),
    problems: [],
  },
  {
    name: 'a revision with weights twice',
    object: revision({
      engine: { name: 'Sim', build: 'simulated:1' },
      weights: { path: '/a', simulated, sizeBytes: 3, sha256 },
    }),
    problems: ['spec.weights: must hold exactly one of path and simulated'],
  },
  {
    name: 'a revision of the wrong engine',
    object: revision({ weights: { simulated, sizeBytes: 3, sha256 } }),
    problems: [`spec: ${pair}`],
  },
  {
    name: 'a changed revision',
    object: revision({ contextLength: 2048 }),
    old: revision(),
    problems: ['spec: cannot be changed: a revision is one pinned version; change spec.version of the Model instead'],
  },
  { name: 'no spec', object: { ...pool(), spec: undefined } as { kind: string }, problems: ['spec: is required'] },
  {
    name: 'a foreign version',
    object: { ...pool(), apiVersion: 'v1' } as { kind: string },
    problems: ['apiVersion: must be stoker.dev/v1alpha1, but is "v1"'],
  },
  {
    name: 'no metadata',
    object: { ...pool(), metadata: undefined } as { kind: string },
    problems: ['metadata.name: is required'],
  },
  {
    name: 'a foreign kind',
    object: { kind: 'Deployment' },
    problems: ['kind: must be one of Pool, Model, ModelRevision, but is "Deployment"'],
  },
  {
    name: 'wrong types',
    object: model({ pools: [3], scaling: { minAwake: 1.5, maxAwake: '3' }, serving: null, pinPolicy: 'Never' }),
    problems: [
      'spec.pinPolicy: must be one of ResolveOnce, RequireDigest, but is "Never"',
      'spec.pools[0]: must be text, but is a number',
      'spec.scaling.minAwake: must be a whole number, but is 1.5',
      'spec.scaling.maxAwake: must be a whole number, but is the text "3"',
      'spec.serving: must be an object, but is null',
    ],
  },
  {
    name: 'out of bounds',
    object: model({
      servedName: '',
      pools: [],
      scaling: { minAwake: -1 },
      version: { weights: { file: { path: 'a', sha256: 'A' } } },
    }),
    problems: [
      'spec.servedName: must not be empty',
      'spec.servedName: must begin with a letter or digit and hold only letters, digits and . _ / -, but is ""',
      'spec.version.weights.file.sha256: must be 64 hexadecimal digits in lower case, but is "A"',
      'spec.pools: must have at least 1 entry, but has 0',
      'spec.scaling.minAwake: must be at least 0, but is -1',
    ],
  },
  {
    name: 'a wrong status',
    object: { ...model(), status: { awake: 'x', conditions: [{ type: 'Ready' }] } } as { kind: string },
    problems: [
      'status.awake: must be a whole number, but is the text "x"',
      'status.conditions[0].status: is required',
      'status.conditions[0].reason: is required',
      'status.conditions[0].message: is required',
      'status.conditions[0].lastTransitionTime: is required',
    ],
  },
];

describe('validateObject', () => {
  for (const { name, object, old, problems } of cases) {
    test(name, () => {
      const found = validateObject(object.kind, object, old).map(({ path, message }) => `${path}: ${message}`);
      assert.deepEqual(found, problems);
    });
  }

  test('every CEL rule of the CRDs has a case above that breaks it, with the same sentence', () => {
    const sentences = cases.flatMap(({ problems }) => problems).join('\n');
    const rules = resourceDefinitions().flatMap(({ schema }) => rulesIn(schema));
    assert.equal(rules.length, 21);
    for (const { message } of rules) assert.ok(sentences.includes(message), message);
  });

  test('defaults change no verdict', () => {
    const written = model();
    const defaulted = model({
      pools: ['default'],
      pinPolicy: 'ResolveOnce',
      scaling: { minAwake: 0, maxAwake: 1, sleepAfterSeconds: 300 },
    });
    assert.deepEqual(validateObject('Model', defaulted, written), []);
    assert.deepEqual(validateObject('Model', written, defaulted), []);
  });
});

describe('hostile objects', () => {
  test('no value throws, and whatever is found is a path and a sentence', () => {
    const keys = fc.constantFrom(
      'servedName',
      'version',
      'weights',
      'file',
      'path',
      'pools',
      'scaling',
      'slots',
      'min',
      '__proto__',
      'conditions',
      'simulated',
      'simulation',
      'faults',
    );
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 5 },
        fc.jsonValue({ maxDepth: 1 }),
        fc.array(tie('any'), { maxLength: 3 }),
        fc.dictionary(keys, tie('any'), { maxKeys: 4 }),
      ),
    })).any;
    fc.assert(
      fc.property(fc.constantFrom('Pool', 'Model', 'ModelRevision'), value, value, value, (kind, spec, status, old) => {
        const object = { apiVersion: 'stoker.dev/v1alpha1', kind, metadata: { name: 'a' }, spec, status };
        for (const one of [object, spec])
          for (const { path, message } of [
            ...validateObject(kind, one, { spec: old }),
            ...findUnknownFields(kind, one),
          ]) {
            assert.equal(typeof path, 'string');
            assert.ok(message.length > 0 && message.length < 1000, message);
          }
      }),
    );
  });
});

function rulesIn(schema: StructuralSchema): readonly { message: string }[] {
  const inner = Object.values(schema.properties ?? {}).flatMap(rulesIn);
  return [...(schema['x-kubernetes-validations'] ?? []), ...inner];
}
