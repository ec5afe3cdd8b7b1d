// Objects of our kinds, good and bad, and what is said of the bad ones: by our own judge in the unit tests, and by API
// servers in the cluster contract. Every rule has one that breaks it and one that does not.

const sha256 = 'a'.repeat(64);

export function pool(spec: object = {}, name = 'default') {
  return { apiVersion: 'stoker.dev/v1alpha1', kind: 'Pool', metadata: { name }, spec };
}

export function model(spec: object = {}, name = 'demo') {
  const version = { weights: { file: { path: 'a.gguf' } } };
  return {
    apiVersion: 'stoker.dev/v1alpha1',
    kind: 'Model',
    metadata: { name },
    spec: { servedName: 'demo', version, ...spec },
  };
}

export function revision(spec: object = {}, name = 'demo-0123456789') {
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

const hub = { repo: 'acme/tiny' };
const http = { files: [{ url: 'https://files.example.com/a.gguf', sha256 }] };
const digestSentence =
  'version.weights must name a commit of 40 digits in hub.revision, or end oci.reference in @sha256:DIGEST, because pinPolicy is RequireDigest';
const simulated = { profile: 'Size7B' };
const simulatedVersion = { weights: { simulated }, engine: { name: 'Sim' } };
const remote = { baseUrl: 'https://api.example.com/v1', model: 'their-model' };
const remoteVersion = { remote, engine: { name: 'Remote' } };
const baseUrlSentence =
  'must be https://HOST/PATH, or http:// on localhost, without user, password, query and fragment, for example https://api.example.com/v1';
const pair = 'engine.name Sim and weights.simulated go together: set both or neither';

export interface JudgedObject {
  readonly name: string;
  readonly object: { readonly kind: string };
  readonly old?: object;
  /** `path: sentence` of each problem. */
  readonly problems: readonly string[];
}

const image = `registry.example.com/vllm-openai@sha256:${sha256}`;
const folder = { path: 'big' };
const vllm = (engine: object = {}, version: object = {}) =>
  model({ version: { weights: { folder }, engine: { name: 'Vllm', ...engine }, ...version } });
const argsSentence = (name: string) =>
  `spec.version.engine: each of args must be an argument that ${name} may be given, with a value of its form, and none may be there twice; docs/reference/engines.md lists them`;

const thirdPartyObjects: readonly JudgedObject[] = [
  {
    name: 'an engine from its image',
    object: vllm({ image, args: ['--dtype=bfloat16', '--enforce-eager'] }),
    problems: [],
  },
  { name: 'an engine as it is installed', object: vllm(), problems: [] },
  {
    name: 'llama-server with a file',
    object: model({
      version: { weights: { file: { path: 'a.gguf' } }, engine: { name: 'LlamaServer', args: ['--n-gpu-layers=all'] } },
    }),
    problems: [],
  },
  {
    name: 'an image of the built-in engine',
    object: model({ version: { weights: { file: { path: 'a' } }, engine: { image } } }),
    problems: ['spec.version.engine: image and args may be set only when name is one of Vllm, Sglang, LlamaServer'],
  },
  { name: 'an argument that opens an address', object: vllm({ args: ['--host=0'] }), problems: [argsSentence('Vllm')] },
  { name: 'an argument twice', object: vllm({ args: ['--seed=1', '--seed=2'] }), problems: [argsSentence('Vllm')] },
  {
    name: 'an argument of another engine',
    object: vllm({ name: 'Sglang', args: ['--enforce-eager'] }),
    problems: [argsSentence('Sglang')],
  },
  {
    name: 'an argument of vLLM for llama-server',
    object: model({
      version: { weights: { file: { path: 'a.gguf' } }, engine: { name: 'LlamaServer', args: ['--enforce-eager'] } },
    }),
    problems: [argsSentence('LlamaServer')],
  },
  {
    name: 'a folder for the built-in engine',
    object: model({ version: { weights: { folder } } }),
    problems: ['spec.version: weights.folder is for the engines Vllm and Sglang; others read weights.file'],
  },
  {
    name: 'a file for vLLM',
    object: vllm({}, { weights: { file: { path: 'a.gguf' } } }),
    problems: ['spec.version: the engines Vllm and Sglang load weights.folder, not weights.file'],
  },
  {
    name: 'a folder without its digest',
    object: model({ pinPolicy: 'RequireDigest', version: { weights: { folder }, engine: { name: 'Vllm' } } }),
    problems: ['spec: version.weights.folder.sha256 must be set, because pinPolicy is RequireDigest'],
  },
  {
    name: 'a revision of an image',
    object: revision({
      engine: { name: 'Vllm', build: `image@sha256:${sha256}`, image, args: ['--dtype=half'] },
      weights: { path: '/big', sizeBytes: 3, sha256, architecture: 'LlamaForCausalLM' },
    }),
    problems: [],
  },
];

const nameSentence = (charsMax: number) =>
  `: metadata.name must have at most ${charsMax} characters: lower-case letters, digits and -, with a letter or digit at both ends`;

export const judgedObjects: readonly JudgedObject[] = [
  { name: 'an empty pool', object: pool(), problems: [] },
  { name: 'slots', object: pool({ slots: { min: 2, max: 1 } }), problems: ['spec.slots: min must not be above max'] },
  {
    name: 'slots against the default',
    object: pool({ slots: { min: 2 } }),
    problems: ['spec.slots: min must not be above max'],
  },
  { name: 'slots that are equal', object: pool({ slots: { min: 2, max: 2 } }), problems: [] },
  {
    name: 'a place for slots',
    object: pool({
      pod: {
        nodeSelector: { 'nvidia.com/gpu.product': 'NVIDIA-H100-80GB-HBM3' },
        tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }],
        runtimeClassName: 'nvidia',
        cpuMillis: 4000,
        memoryBytes: 68_719_476_736,
        sharedMemoryBytes: 8_589_934_592,
      },
    }),
    problems: [],
  },
  ...thirdPartyObjects,
  { name: 'memory for sleepers on one machine', object: pool({ sleeperBytes: 8_589_934_592 }), problems: [] },
  {
    name: 'memory for sleepers on top of nothing',
    object: pool({ sleeperBytes: 8_589_934_592, pod: { cpuMillis: 1000 } }),
    problems: ['spec: pod.memoryBytes must be set, because sleeperBytes comes on top of it'],
  },
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
    problems: ['spec.version.weights: must hold exactly one of file, folder, http, hub, s3, oci, simulated'],
  },
  {
    name: 'weights twice',
    object: model({ version: { ...simulatedVersion, weights: { simulated, file: { path: 'a' } } } }),
    problems: ['spec.version.weights: must hold exactly one of file, folder, http, hub, s3, oci, simulated'],
  },
  { name: 'weights of a hub', object: model({ version: { weights: { hub }, contextLength: 512 } }), problems: [] },
  {
    name: 'a branch where digests are required',
    object: model({ pinPolicy: 'RequireDigest', version: { weights: { hub }, contextLength: 512 } }),
    problems: [`spec: ${digestSentence}`],
  },
  {
    name: 'a commit where digests are required',
    object: model({
      pinPolicy: 'RequireDigest',
      version: { weights: { hub: { ...hub, revision: 'a'.repeat(40) } }, contextLength: 512 },
    }),
    problems: [],
  },
  {
    name: 'a tag of a registry where digests are required',
    object: model({
      pinPolicy: 'RequireDigest',
      version: { weights: { oci: { reference: 'ghcr.io/acme/tiny:v1' } }, contextLength: 512 },
    }),
    problems: [`spec: ${digestSentence}`],
  },
  {
    name: 'downloaded weights without a context length',
    object: model({ version: { weights: { http } } }),
    problems: [
      'spec.version: contextLength must be set beside weights that are downloaded: it is not known before they are here',
    ],
  },
  {
    name: 'two sources',
    object: model({ version: { weights: { http, hub }, contextLength: 512 } }),
    problems: ['spec.version.weights: must hold exactly one of file, folder, http, hub, s3, oci, simulated'],
  },
  {
    name: 'credentials for a file',
    object: model({ version: { weights: { file: { path: 'a' }, credentialsSecretName: 'hub' } } }),
    problems: ['spec.version.weights: credentialsSecretName may be set only beside weights that are downloaded'],
  },
  {
    name: 'a store and its Secret',
    object: model({
      version: {
        weights: {
          s3: { endpoint: 'https://s3.example.com', bucket: 'models', files: [{ key: 'a.gguf', sha256 }] },
          credentialsSecretName: 'store',
        },
        contextLength: 512,
      },
    }),
    problems: [],
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
  { name: 'a revision', object: revision(), old: revision(), problems: [] },
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
    problems: ['spec.weights: must hold exactly one of path, simulated and fileSet'],
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
