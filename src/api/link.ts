// The link's messages (JSON text frames over one WebSocket). Spokes (agents, routers) dial the hub (the controller).
// Messages only grow: receivers ignore unknown fields (DESIGN §14.1). Times on the wire are ages and remaining
// milliseconds, never timestamps. Everything that orders carries (epoch, seq); receivers drop lower pairs.
import { z } from 'zod';
import { ARGUMENTS_MAX, engineArgumentSchema, type ThirdPartyEngine } from './engine-arguments.ts';
import { samplingSchema } from './model.ts';
import { probeSampleSchema } from './model-revision.ts';
import { simulatedWeightsSchema } from './simulated-weights.ts';
import { simulationSchema } from './simulation.ts';

/**
 * The versions of this file. `hello` carries the range a spoke speaks; the hub answers with the highest both speak.
 * 2 added the launch of the engine Sim (LINK_VERSION_SIM) and the upstreams of the routing table (LINK_VERSION_UPSTREAMS).
 */
export const LINK_VERSION_MIN = 1;
export const LINK_VERSION_MAX = 3;
/** 3 added the launches of engines that are not ours. Agents below it are never sent one. */
export const LINK_VERSION_THIRD_PARTY = 3;
/** An agent whose session speaks less must never be sent a launch of the engine Sim: it would refuse the whole target. */
export const LINK_VERSION_SIM = 2;
/** A router whose session speaks less passes over the upstreams of its table, and has no way to their models. */
export const LINK_VERSION_UPSTREAMS = 2;

export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

/** The highest version that a spoke with this range and a hub of this release both speak; undefined when there is none. */
export function agreeOnVersion({ min, max }: VersionRange): number | undefined {
  const version = Math.min(max, LINK_VERSION_MAX);
  return version >= min && version >= LINK_VERSION_MIN ? version : undefined;
}

/** A frame above this is refused and the session closed with 1009. */
export const LINK_FRAME_BYTES_MAX = 4 * 1024 * 1024;
/** The ws path. The bearer token travels in the Authorization header of the upgrade. */
export const LINK_PATH = '/link';
/** The audience that link tokens are made for. */
export const LINK_AUDIENCE = 'stoker-link';
/** The Service that spokes on a cluster dial, without a selector: the leader says where it is. */
export const LINK_SERVICE = 'stoker-link';
/** What Pods of routers run as. Its name is fixed, because one release serves one namespace. */
export const ROUTER_SERVICE_ACCOUNT = 'stoker-router';
/** Where spokes on a cluster find the authority of the link. */
export const LINK_CA_CONFIG_MAP = 'stoker-link-ca';
export const LINK_CA_KEY = 'ca.crt';

const fence = { epoch: z.int().min(0), seq: z.int().min(0) };
const name = z.string().min(1).max(253);
const ms = z.number().min(0);

/** How warm an instance is, with the transitions between (DESIGN §6). */
export const rungs = [
  'Absent',
  'Staged',
  'Starting',
  'Awake',
  'Draining',
  'Sleeping',
  'Asleep',
  'Waking',
  'Stopping',
  'Failed',
] as const;
export const rungSchema = z.enum(rungs);
export type Rung = z.infer<typeof rungSchema>;
/** The rungs on which an instance holds the slot's accelerators. At most one instance of a slot is on one of them. */
export const residentRungs: ReadonlySet<Rung> = new Set([
  'Starting',
  'Waking',
  'Awake',
  'Draining',
  'Sleeping',
  'Stopping',
]);

// ---- agent to hub

/** How long each phase of the last climb took, in milliseconds. Phases that did not happen are absent. */
export const climbSchema = z.object({
  from: z.enum(['Staged', 'Asleep']),
  spawnedMs: ms.optional(),
  loadedMs: ms.optional(),
  /** The part of loadedMs after the weights were in memory, for engines that tell: compiling, capturing, a first run. */
  warmedMs: ms.optional(),
  probedMs: ms.optional(),
  totalMs: ms,
});
export type Climb = z.infer<typeof climbSchema>;

export const instanceReportSchema = z.object({
  /** `<podUID>/<revision>/<incarnation>` */
  id: name,
  model: name,
  revision: name,
  rung: rungSchema,
  /** True once this incarnation's last start or wake answered the probe as expected. Never routed to before. */
  probed: z.boolean(),
  /** Requests being served right now. */
  inFlight: z.int().min(0),
  /** Time on this rung. */
  rungAgeMs: ms,
  /** Time since the last request began or ended; absent when there was none since the last climb. */
  idleMs: ms.optional(),
  failure: z.object({ reason: name, message: z.string().max(1024), retryInMs: ms }).optional(),
  climb: climbSchema.optional(),
  /** What the engine says it is, for example builtin:<hash>. */
  engineBuild: z.string().max(128).optional(),
  /** The probe's answer when the target carried no expectation: the first verified start. */
  probeSample: probeSampleSchema.optional(),
  residentBytes: z.int().min(0).optional(),
});
export type InstanceReport = z.infer<typeof instanceReportSchema>;

export const agentHelloSchema = z.object({
  type: z.literal('hello'),
  role: z.literal('agent'),
  name,
  release: z.string().max(64),
  versions: z.object({ min: z.int(), max: z.int() }),
  /** The highest (epoch, seq) this spoke has obeyed. */
  fence: z.object(fence),
  podUid: name,
  /** The port of the data path on the Pod's address. The address itself comes from Pod status, never from here. */
  dataPort: z.int().min(1).max(65_535),
});

/** Of one slot, in a report and in a target. */
export const SLOT_INSTANCES_MAX = 128;

export const agentReportSchema = z.object({
  type: z.literal('report'),
  /** The target this report is about. */
  fence: z.object(fence),
  /** Versions of the slot key that the data path accepts. */
  keyVersions: z.array(z.int().min(1)).max(4),
  /** True after SIGTERM: the slot wants out. */
  terminating: z.boolean(),
  instances: z.array(instanceReportSchema).max(SLOT_INSTANCES_MAX),
});
export type AgentReport = z.infer<typeof agentReportSchema>;

// ---- hub to agent

/** What every engine needs to run one revision. */
const launchFields = {
  servedName: z.string().min(1).max(128),
  /** Becomes `system_fingerprint` and x-stoker-revision: the revision's name. */
  revision: name,
  contextLength: z.int().min(128),
  concurrency: z.int().min(1).max(256),
  sampling: samplingSchema.optional(),
  sleep: z.enum(['Level1', 'Level2', 'Never']),
  drainMs: ms,
  /** Missing: the first verified start, whose answer is reported and kept. */
  probeExpected: probeSampleSchema.optional(),
};

/** Version 1 knows this one alone, and reads it as it always did. */
const llamaLaunchSchema = z.object({
  engine: z.literal('Llama'),
  ...launchFields,
  weightsPath: z.string().min(1).max(1024),
  weightsSizeBytes: z.int().min(0),
  weightsSha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type LlamaLaunch = z.infer<typeof llamaLaunchSchema>;

/** Since version 2 (LINK_VERSION_SIM). */
const simLaunchSchema = z.object({
  engine: z.literal('Sim'),
  ...launchFields,
  simulated: simulatedWeightsSchema,
  /** Missing: no faults, times as published. */
  simulation: simulationSchema.optional(),
});
export type SimLaunch = z.infer<typeof simLaunchSchema>;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** What an engine that is not ours is started with besides. */
const thirdPartyFields = {
  /** Those of the version and what follows from the Pool; checked against the engine's list once more (engine-arguments.ts). */
  args: z.array(engineArgumentSchema).max(ARGUMENTS_MAX + 1),
  /** The image that it runs from, by digest; missing where there is no image. */
  imageDigest: z
    .string()
    .regex(/^sha256:[0-9a-f]{64}$/)
    .optional(),
  /** What config.json names first under `architectures`; decides whether it is known to survive sleep. */
  architecture: z.string().min(1).max(128).optional(),
  weightsPath: z.string().min(1).max(1024),
  weightsSizeBytes: z.int().min(0),
  weightsSha256: sha256,
};

/** Since version 3, like the two below. The weights are a folder; their digest is that of its files (weights-folder.ts). */
const vllmLaunchSchema = z.object({
  engine: z.literal('Vllm'),
  ...launchFields,
  ...thirdPartyFields,
  /** Room for keys and values on each accelerator. Missing: what the engine finds free. */
  kvCacheBytes: z.int().min(1).optional(),
});
export type VllmLaunch = z.infer<typeof vllmLaunchSchema>;

const sglangLaunchSchema = z.object({
  engine: z.literal('Sglang'),
  ...launchFields,
  ...thirdPartyFields,
  /** Tokens that all requests together may hold. Missing: what the engine finds room for. */
  kvTokens: z.int().min(1).optional(),
  /** Weights, keys and values together, in thousandths of an accelerator. An agent that does not know it leaves it to the engine. */
  staticPermille: z.int().min(1).max(999).optional(),
});
export type SglangLaunch = z.infer<typeof sglangLaunchSchema>;

/** The weights are one GGUF file. Its room for keys and values follows from context length and concurrency. */
const llamaServerLaunchSchema = z.object({
  engine: z.literal('LlamaServer'),
  ...launchFields,
  ...thirdPartyFields,
});
export type LlamaServerLaunch = z.infer<typeof llamaServerLaunchSchema>;

export const launchSchema = z.discriminatedUnion('engine', [
  llamaLaunchSchema,
  simLaunchSchema,
  vllmLaunchSchema,
  sglangLaunchSchema,
  llamaServerLaunchSchema,
]);
export type Launch = z.infer<typeof launchSchema>;
/** Engines that run in a slot, as processes of an agent. */
export type SlotEngine = Launch['engine'];
/** Those of them that are part of Stoker. */
export type OwnEngine = Exclude<SlotEngine, ThirdPartyEngine>;

export const targetInstanceSchema = z.object({
  model: name,
  revision: name,
  /** Where the instance should be. An instance that no target names is stopped. */
  rung: z.enum(['Awake', 'Asleep', 'Staged']),
  launch: launchSchema,
});
export type TargetInstance = z.infer<typeof targetInstanceSchema>;

export const targetSchema = z.object({
  type: z.literal('target'),
  ...fence,
  /** At most one of them has rung Awake. */
  instances: z.array(targetInstanceSchema).max(SLOT_INSTANCES_MAX),
  /** Keys that the data path must accept, hex. Others are dropped. */
  keys: z.array(z.object({ version: z.int().min(1), key: z.string().regex(/^[0-9a-f]{64}$/) })).max(4),
});
export type Target = z.infer<typeof targetSchema>;

/** Sent when no live router's table names this slot's instances any more: a terminating agent may stop accepting. */
export const withdrawnSchema = z.object({ type: z.literal('withdrawn'), ...fence });

// ---- router to hub

/** Of one message: more samples are left out, more waiting requests are only counted. */
export const DEMAND_SAMPLES_MAX = 64;
export const DEMAND_WAITING_MAX = 256;
const tokens = z.int().min(0);

export const modelDemandSchema = z.object({
  model: name,
  /** Requests held or queued, not yet at an instance. */
  queued: z.int().min(0),
  /** Their estimated prompt tokens. */
  queuedTokens: z.int().min(0),
  oldestQueuedMs: ms,
  inFlight: z.int().min(0),
  /** Estimated prompt tokens of each, as far as there is room; the others are in queuedTokens only. */
  waitingTokens: z.array(tokens).max(DEMAND_WAITING_MAX).optional(),
  /** Estimated prompt tokens that instances have taken and that wait there behind another prompt. Absent for none. */
  engineTokens: tokens.optional(),
  /** Requests accepted since the router started (a counter; the hub takes differences). */
  arrivals: z.int().min(0),
  /** Their estimated prompt tokens, a counter like it. */
  arrivedTokens: tokens.optional(),
  /** Tokens of each answer that ended since the last message. */
  answeredTokens: z.array(tokens).max(DEMAND_SAMPLES_MAX).optional(),
  /** What engine steps took, as told from answers that ended since the last message. */
  steps: z
    .array(z.object({ sequences: z.int().min(0), promptTokens: tokens, stepMs: z.number().gt(0) }))
    .max(DEMAND_SAMPLES_MAX)
    .optional(),
  /** Time since the last arrival; absent when there was none. */
  lastArrivalAgeMs: ms.optional(),
  /** A refused cold request's claim: at least one instance must come up within this time (DESIGN §8). 0 for none. */
  wakeLeaseMs: ms,
});
export type ModelDemand = z.infer<typeof modelDemandSchema>;

/** A router with more models tells of these. */
export const HISTORY_MODELS_MAX = 1000;
/** The same for its demand. */
export const DEMAND_MODELS_MAX = 1000;

export const routerHelloSchema = z.object({
  type: z.literal('hello'),
  role: z.literal('router'),
  name,
  release: z.string().max(64),
  versions: z.object({ min: z.int(), max: z.int() }),
  fence: z.object(fence),
  /** Arrivals of the last 600 s per model, counts in 10 s steps, newest last, so that a new leader has a history. */
  history: z
    .array(
      z.object({
        model: name,
        countsPer10s: z.array(z.int().min(0)).max(60),
        /** Prompt tokens of the same steps. */
        tokensPer10s: z.array(tokens).max(60).optional(),
      }),
    )
    .max(HISTORY_MODELS_MAX),
});

/** The whole demand of this router, within 100 ms of a change and at least once a second. */
export const demandSchema = z.object({
  type: z.literal('demand'),
  models: z.array(modelDemandSchema).max(DEMAND_MODELS_MAX),
});
export type Demand = z.infer<typeof demandSchema>;

/** The router now routes by these section versions. */
export const acknowledgeSchema = z.object({
  type: z.literal('acknowledge'),
  ...fence,
  versions: z.object({ policy: z.int().min(0), endpoints: z.int().min(0), keys: z.int().min(0) }),
});
export type Acknowledge = z.infer<typeof acknowledgeSchema>;

// ---- hub to router: the routing table, by section; only what changed is sent

/** A table with more rows is refused, and routers of every release refuse it: Models beyond are in none. */
export const TABLE_MODELS_MAX = 1000;
export const TABLE_SLOTS_MAX = 5000;

export const policyModelSchema = z.object({
  model: name,
  servedName: z.string().min(1).max(128),
  /** Unix seconds, for /v1/models. */
  createdSeconds: z.int().min(0),
  /** The revision that new requests get. Absent until one is pinned. */
  stable: z.object({ revision: name, digest: z.string().max(80) }).optional(),
  contextLength: z.int().min(0),
  concurrency: z.int().min(1),
});
export type PolicyModel = z.infer<typeof policyModelSchema>;

export const endpointSchema = z.object({
  /** `<podUID>/<revision>/<incarnation>` */
  instance: name,
  podUid: name,
  model: name,
  revision: name,
  /** host:port of the agent's data path. */
  address: z.string().min(3).max(300),
  /** This router's part of the instance's concurrency. */
  share: z.int().min(0),
});
export type Endpoint = z.infer<typeof endpointSchema>;

export const modelWarmthSchema = z.object({
  model: name,
  /** The warmest rung of its stable revision, for people and for holds. */
  rung: rungSchema,
  /** Expected time until a request that comes now is served by an awake instance; 0 when one is awake. */
  etaMs: ms,
  /** Why it cannot be served now, when that is known. */
  failure: z.object({ reason: name, message: z.string().max(1024) }).optional(),
});
export type ModelWarmth = z.infer<typeof modelWarmthSchema>;

/** Since version 2 (LINK_VERSION_UPSTREAMS). Somebody else's API that serves a model; its key travels in the keys section. */
export const upstreamSchema = z.object({
  /** Names it in this table. */
  upstream: name,
  model: name,
  revision: name,
  baseUrl: z.string().min(1).max(512),
  /** What the model is called there. */
  upstreamModel: z.string().min(1).max(256),
  /** For people: where the key is kept, as `secret/entry`. Absent: it is asked without a key. */
  keyOrigin: z.string().max(600).optional(),
  /** This router's part of the requests that may be there at once. */
  share: z.int().min(0),
});
export type Upstream = z.infer<typeof upstreamSchema>;

/** Of an API key, in characters. */
export const UPSTREAM_KEY_CHARS_MAX = 4096;
export const upstreamKeySchema = z.object({
  upstream: name,
  /** Empty: it is asked without a key. */
  key: z.string().max(UPSTREAM_KEY_CHARS_MAX),
});
export type UpstreamKey = z.infer<typeof upstreamKeySchema>;

const section = <T extends z.ZodType>(data: T) => z.object({ version: z.int().min(1), hash: z.string().max(80), data });

export const tableSchema = z.object({
  type: z.literal('table'),
  ...fence,
  policy: section(z.object({ models: z.array(policyModelSchema).max(TABLE_MODELS_MAX) })).optional(),
  endpoints: section(
    z.object({
      endpoints: z.array(endpointSchema).max(TABLE_SLOTS_MAX),
      warmth: z.array(modelWarmthSchema).max(TABLE_MODELS_MAX),
      upstreams: z.array(upstreamSchema).max(TABLE_MODELS_MAX).optional(),
    }),
  ).optional(),
  keys: section(
    z.object({
      slots: z
        .array(z.object({ podUid: name, version: z.int().min(1), key: z.string().regex(/^[0-9a-f]{64}$/) }))
        .max(TABLE_SLOTS_MAX),
      upstreams: z.array(upstreamKeySchema).max(TABLE_MODELS_MAX).optional(),
    }),
  ).optional(),
});
export type Table = z.infer<typeof tableSchema>;

// ---- both ways

/** The hub's answer to hello. */
export const welcomeSchema = z.object({
  type: z.literal('welcome'),
  version: z.int(),
  epoch: z.int().min(0),
  session: name,
});
export type Welcome = z.infer<typeof welcomeSchema>;

export const REDIAL_MS_TOLD_MAX = 5000;
/** The hub's last words when it hands over: somebody else is about to listen, so dial at once and often. */
export const movedSchema = z.object({
  type: z.literal('moved'),
  /** Each dial waits a random part of this: the more sessions there are, the longer. */
  redialMs: z.int().min(0).max(REDIAL_MS_TOLD_MAX),
});
export type Moved = z.infer<typeof movedSchema>;

export const agentToHubSchema = z.discriminatedUnion('type', [agentHelloSchema, agentReportSchema]);
export const hubToAgentSchema = z.discriminatedUnion('type', [
  welcomeSchema,
  targetSchema,
  withdrawnSchema,
  movedSchema,
]);
export const routerToHubSchema = z.discriminatedUnion('type', [routerHelloSchema, demandSchema, acknowledgeSchema]);
export const hubToRouterSchema = z.discriminatedUnion('type', [welcomeSchema, tableSchema, movedSchema]);
export type AgentHello = z.infer<typeof agentHelloSchema>;
export type RouterHello = z.infer<typeof routerHelloSchema>;
export type AgentToHub = z.infer<typeof agentToHubSchema>;
export type HubToAgent = z.infer<typeof hubToAgentSchema>;
export type RouterToHub = z.infer<typeof routerToHubSchema>;
export type HubToRouter = z.infer<typeof hubToRouterSchema>;
