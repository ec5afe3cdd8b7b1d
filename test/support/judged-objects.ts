// Objects of our kinds, good and bad, and what is said of the bad ones: by our own judge in the unit tests, and by API
// servers in the cluster contract. Every rule has one that breaks it and one that does not.
import { thirdPartyObjects } from './judged-engines.ts';
import { judgedScaling } from './judged-scaling.ts';
import { judgedShapes } from './judged-shapes.ts';
import { judgedSpares } from './judged-spares.ts';
import {
  type JudgedObject,
  model,
  nameSentence,
  pool,
  revision,
  sha256,
  simulated,
  simulatedVersion,
} from './plain-objects.ts';

const hub = { repo: 'acme/tiny' };
const http = { files: [{ url: 'https://files.example.com/a.gguf', sha256 }] };
const digestSentence =
  'version.weights must name a commit of 40 digits in hub.revision, or end oci.reference in @sha256:DIGEST, because pinPolicy is RequireDigest';
const remote = { baseUrl: 'https://api.example.com/v1', model: 'their-model' };
const remoteVersion = { remote, engine: { name: 'Remote' } };
const baseUrlSentence =
  'must be https://HOST/PATH, or http:// on localhost, without user, password, query and fragment, for example https://api.example.com/v1';
const pair = 'engine.name Sim and weights.simulated go together: set both or neither';

export const judgedObjects: readonly JudgedObject[] = [
  { name: 'an empty pool', object: pool(), problems: [] },
  {
    name: 'slots',
    object: pool({ slots: { min: 2, max: 1 } }),
    problems: ['spec.slots: min must not be above max: 2 is above 1'],
  },
  {
    name: 'slots against the default',
    object: pool({ slots: { min: 2 } }),
    problems: ['spec.slots: min must not be above max: 2 is above 1'],
  },
  { name: 'slots that are equal', object: pool({ slots: { min: 2, max: 2 } }), problems: [] },
  ...judgedSpares,
  ...judgedScaling,
  {
    name: 'weights in a folder of the node, with a bound',
    object: pool({ weights: { hostPath: { path: '/mnt/nvme/weights' }, cacheBytesMax: 1_000_000_000_000 } }),
    problems: [],
  },
  {
    name: 'weights in two places',
    object: pool({ weights: { claimName: 'models', hostPath: { path: '/mnt/nvme/weights' } } }),
    problems: ['spec.weights: must not hold both claimName and hostPath: weights lie in one place'],
  },
  { name: 'a claim for what engines compile', object: pool({ compileCache: { claimName: 'kernels' } }), problems: [] },
  {
    name: 'what engines compile in two places',
    object: pool({ compileCache: { claimName: 'kernels', hostPath: { path: '/mnt/nvme/kernels' } } }),
    problems: ['spec.compileCache: must hold exactly one of claimName and hostPath'],
  },
  {
    name: 'what engines compile nowhere',
    object: pool({ compileCache: {} }),
    problems: ['spec.compileCache: must hold exactly one of claimName and hostPath'],
  },
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
    problems: ['spec.scaling: minAwake must not be above maxAwake: 2 is above 1'],
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
  ...judgedShapes,
];
