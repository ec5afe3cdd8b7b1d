// Objects that a schema alone refuses: what is missing, of another type, or out of bounds.
import { type JudgedObject, model, nameSentence, pool, revision, sha256, simulatedVersion } from './plain-objects.ts';

export const judgedShapes: readonly JudgedObject[] = [
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
    name: 'no accelerator of that form',
    object: pool({ accelerator: { resourceName: 'gpu' } }),
    problems: ['spec.accelerator.resourceName: must be a domain, / and a name, such as nvidia.com/gpu, but is "gpu"'],
  },
  {
    name: 'an accelerator whose name is too long',
    object: pool({ accelerator: { resourceName: `a/${'b'.repeat(127)}` } }),
    problems: ['spec.accelerator.resourceName: must have at most 128 characters, but has 129'],
  },
  {
    name: 'no accelerator in a slot',
    object: pool({ accelerator: { countPerSlot: 0 } }),
    problems: ['spec.accelerator.countPerSlot: must be at least 1, but is 0'],
  },
  {
    name: 'too many accelerators in a slot',
    object: pool({ accelerator: { countPerSlot: 65 } }),
    problems: ['spec.accelerator.countPerSlot: must be at most 64, but is 65'],
  },
  {
    name: 'an accelerator count that is text',
    object: pool({ accelerator: { countPerSlot: '8' } }),
    problems: ['spec.accelerator.countPerSlot: must be a whole number, but is the text "8"'],
  },
  {
    name: 'half an accelerator',
    object: pool({ accelerator: { countPerSlot: 0.5 } }),
    problems: ['spec.accelerator.countPerSlot: must be a whole number, but is 0.5'],
  },
  {
    name: 'a class without a name',
    object: pool({ accelerator: { className: '' } }),
    problems: ['spec.accelerator.className: must not be empty'],
  },
  {
    name: 'a class with a name of 64',
    object: pool({ accelerator: { className: 'a'.repeat(64) } }),
    problems: ['spec.accelerator.className: must have at most 63 characters, but has 64'],
  },
  {
    name: 'fewer than no slots',
    object: pool({ slots: { min: -1 } }),
    problems: ['spec.slots.min: must be at least 0, but is -1'],
  },
  {
    name: 'no slot at all',
    object: pool({ slots: { max: 0 } }),
    problems: ['spec.slots.max: must be at least 1, but is 0'],
  },
  {
    name: 'too many slots',
    object: pool({ slots: { max: 1001 } }),
    problems: ['spec.slots.max: must be at most 1000, but is 1001'],
  },
  {
    name: 'slots that are a number',
    object: pool({ slots: 3 }),
    problems: ['spec.slots: must be an object, but is a number'],
  },
  {
    name: 'too many sleepers',
    object: pool({ sleepersPerSlotMax: 65 }),
    problems: ['spec.sleepersPerSlotMax: must be at most 64, but is 65'],
  },
  {
    name: 'a drain of no time',
    object: pool({ maxDrainSeconds: 0 }),
    problems: ['spec.maxDrainSeconds: must be at least 1, but is 0'],
  },
  {
    name: 'a drain of more than an hour',
    object: pool({ maxDrainSeconds: 3601 }),
    problems: ['spec.maxDrainSeconds: must be at most 3600, but is 3601'],
  },
  {
    name: 'a drain with a unit',
    object: pool({ maxDrainSeconds: '60s' }),
    problems: ['spec.maxDrainSeconds: must be a whole number, but is the text "60s"'],
  },
  {
    name: 'a spec that is text',
    object: { ...pool(), spec: 'x' } as { kind: string },
    problems: ['spec: must be an object, but is the text "x"'],
  },
  {
    name: 'a name in upper case',
    object: pool({}, 'Big'),
    problems: [nameSentence(52)],
  },
  {
    name: 'no servedName',
    object: model({ servedName: undefined }),
    problems: ['spec.servedName: is required'],
  },
  {
    name: 'a servedName with a space',
    object: model({ servedName: 'a b' }),
    problems: [
      'spec.servedName: must begin with a letter or digit and hold only letters, digits and . _ / -, but is "a b"',
    ],
  },
  {
    name: 'a servedName of 129',
    object: model({ servedName: 'a'.repeat(129) }),
    problems: ['spec.servedName: must have at most 128 characters, but has 129'],
  },
  { name: 'no version', object: model({ version: undefined }), problems: ['spec.version: is required'] },
  {
    name: 'a version without weights',
    object: model({ version: {} }),
    problems: ['spec.version: must hold exactly one of weights and remote'],
  },
  {
    name: 'weights without a path',
    object: model({ version: { weights: { file: {} } } }),
    problems: ['spec.version.weights.file.path: is required'],
  },
  {
    name: 'weights with an empty path',
    object: model({ version: { weights: { file: { path: '' } } } }),
    problems: ['spec.version.weights.file.path: must not be empty'],
  },
  {
    name: 'a path of 1025',
    object: model({ version: { weights: { file: { path: 'a'.repeat(1025) } } } }),
    problems: ['spec.version.weights.file.path: must have at most 1024 characters, but has 1025'],
  },
  {
    name: 'a digest that is too short',
    object: model({ version: { weights: { file: { path: 'a', sha256: 'a'.repeat(63) } } } }),
    problems: [
      `spec.version.weights.file.sha256: must be 64 hexadecimal digits in lower case, but is "${'a'.repeat(63)}…`,
    ],
  },
  {
    name: 'an engine that there is not',
    object: model({ version: { weights: { file: { path: 'a' } }, engine: { name: 'Steam' } } }),
    problems: [
      'spec.version.engine.name: must be one of Llama, Sim, Remote, Vllm, Sglang, LlamaServer, but is "Steam"',
    ],
  },
  {
    name: 'a context that is too short',
    object: model({ version: { weights: { file: { path: 'a' } }, contextLength: 127 } }),
    problems: ['spec.version.contextLength: must be at least 128, but is 127'],
  },
  {
    name: 'a context that is too long',
    object: model({ version: { weights: { file: { path: 'a' } }, contextLength: 1_048_577 } }),
    problems: ['spec.version.contextLength: must be at most 1048576, but is 1048577'],
  },
  {
    name: 'a temperature that is a number',
    object: model({ version: { weights: { file: { path: 'a' } }, sampling: { temperature: 0.7 } } }),
    problems: ['spec.version.sampling.temperature: must be text, but is 0.7'],
  },
  {
    name: 'a temperature with a comma',
    object: model({ version: { weights: { file: { path: 'a' } }, sampling: { temperature: '0,7' } } }),
    problems: ['spec.version.sampling.temperature: must be a decimal number in quotes, such as "0.7", but is "0,7"'],
  },
  {
    name: 'topK of nothing',
    object: model({ version: { weights: { file: { path: 'a' } }, sampling: { topK: 0 } } }),
    problems: ['spec.version.sampling.topK: must be at least 1, but is 0'],
  },
  {
    name: 'topK above the most',
    object: model({ version: { weights: { file: { path: 'a' } }, sampling: { topK: 1001 } } }),
    problems: ['spec.version.sampling.topK: must be at most 1000, but is 1001'],
  },
  {
    name: 'pools that are text',
    object: model({ pools: 'default' }),
    problems: ['spec.pools: must be a list, but is the text "default"'],
  },
  {
    name: 'too many pools',
    object: model({ pools: Array.from({ length: 17 }, (_, at) => `p${at}`) }),
    problems: ['spec.pools: must have at most 16 entries, but has 17'],
  },
  { name: 'a pool without a name', object: model({ pools: [''] }), problems: ['spec.pools[0]: must not be empty'] },
  {
    name: 'a pool with a name of 53',
    object: model({ pools: ['a'.repeat(53)] }),
    problems: ['spec.pools[0]: must have at most 52 characters, but has 53'],
  },
  {
    name: 'none awake at the most',
    object: model({ scaling: { maxAwake: 0 } }),
    problems: ['spec.scaling.maxAwake: must be at least 1, but is 0'],
  },
  {
    name: 'more than a thousand awake',
    object: model({ scaling: { maxAwake: 1001 } }),
    problems: ['spec.scaling.maxAwake: must be at most 1000, but is 1001'],
  },
  {
    name: 'sleep at once',
    object: model({ scaling: { sleepAfterSeconds: 0 } }),
    problems: ['spec.scaling.sleepAfterSeconds: must be at least 1, but is 0'],
  },
  {
    name: 'sleep after more than a day',
    object: model({ scaling: { sleepAfterSeconds: 86_401 } }),
    problems: ['spec.scaling.sleepAfterSeconds: must be at most 86400, but is 86401'],
  },
  {
    name: 'no concurrency',
    object: model({ serving: { concurrency: 0 } }),
    problems: ['spec.serving.concurrency: must be at least 1, but is 0'],
  },
  {
    name: 'too much concurrency',
    object: model({ serving: { concurrency: 257 } }),
    problems: ['spec.serving.concurrency: must be at most 256, but is 257'],
  },
  {
    name: 'a model that drains for more than an hour',
    object: model({ serving: { drainSeconds: 3601 } }),
    problems: ['spec.serving.drainSeconds: must be at most 3600, but is 3601'],
  },
  {
    name: 'a sleep that there is not',
    object: model({ serving: { sleep: 'Deep' } }),
    problems: ['spec.serving.sleep: must be one of Auto, Level1, Level2, Never, but is "Deep"'],
  },
  {
    name: 'a profile that there is not',
    object: model({ version: { ...simulatedVersion, weights: { simulated: { profile: 'Size1B' } } } }),
    problems: ['spec.version.weights.simulated.profile: must be one of Size7B, Size13B, Size70B, but is "Size1B"'],
  },
  {
    name: 'too many faults',
    object: model({
      version: simulatedVersion,
      simulation: { faults: Array.from({ length: 33 }, () => ({ kind: 'Cut', at: [1] })) },
    }),
    problems: ['spec.simulation.faults: must have at most 32 entries, but has 33'],
  },
  {
    name: 'a simulation that is too fast',
    object: model({ version: simulatedVersion, simulation: { speedPercent: 10_001 } }),
    problems: ['spec.simulation.speedPercent: must be at most 10000, but is 10001'],
  },
  {
    name: 'a revision with a digest of another form',
    object: revision({ digest: `sha256:${sha256}` }),
    problems: [
      `spec.digest: must be v1:sha256: and 64 hexadecimal digits in lower case, but is "sha256:${'a'.repeat(56)}…`,
    ],
  },
  {
    name: 'a revision of nobody',
    object: revision({ modelName: '' }),
    problems: ['spec.modelName: must not be empty'],
  },
  {
    name: 'a revision without weights',
    object: revision({ weights: undefined }),
    problems: ['spec: must hold weights, or remote and the engine Remote'],
  },
  {
    name: 'a revision with weights below nothing',
    object: revision({ weights: { path: '/a', sizeBytes: -1, sha256 } }),
    problems: ['spec.weights.sizeBytes: must be at least 0, but is -1'],
  },
  {
    name: 'a revision of no build',
    object: revision({ engine: { name: 'Llama' } }),
    problems: ['spec.engine.build: is required'],
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
