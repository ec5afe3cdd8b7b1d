// What the agent needs of a model server. One adapter per engine in src/engine.
import type { Launch } from '../api/link.ts';
import type { ProbeSample } from '../api/model-revision.ts';

export interface EngineExit {
  readonly code: number | null;
  readonly signal: string | null;
  /** The last lines of the engine's own error output, at most 2 KiB, for a person. */
  readonly lastWords: string;
}

export interface EngineMemory {
  readonly residentBytes: number;
  /** Held on each accelerator of the set, on average. Missing: the engine does not say. */
  readonly acceleratorBytes?: number;
}

/** What an engine works on right now, by its own account. */
export interface EngineLoad {
  readonly running: number;
  readonly waiting: number;
  /** The part of its room for keys and values that is taken, 0 to 1; absent when it does not say. */
  readonly kvUsedShare?: number;
}

/** A started engine: one process group that carries STOKER_INSTANCE=<id>. Methods reject with Error whose message is a sentence. */
export interface EngineProcess {
  readonly pid: number;
  /** Loopback address of the engine's HTTP, for example http://127.0.0.1:41234. */
  readonly baseUrl: string;
  /** Headers that every call to it must carry (its own key). */
  readonly headers: Readonly<Record<string, string>>;
  /** Members of a request that must not reach it. */
  readonly refusedFields?: ReadonlySet<string>;
  /** Resolves when the whole group is gone. Never rejects. */
  readonly exited: Promise<EngineExit>;
  /** Resolves when the model is loaded; rejects with the reason when it cannot be, or when the process ends. */
  whenLoaded(signal: AbortSignal): Promise<void>;
  /** The part of the load that came after the weights were in memory, in milliseconds; for engines that tell. */
  warmedMs?(): number | undefined;
  /** Eight tokens of a fixed prompt, alone, with no reuse of earlier work. */
  probe(signal: AbortSignal): Promise<ProbeSample>;
  /** Releases the model's memory and keeps the process. Idempotent. */
  sleep(level: 1 | 2, signal: AbortSignal): Promise<void>;
  /** Loads again. Idempotent. */
  wake(signal: AbortSignal): Promise<void>;
  /** Rejects when the engine does not answer, or answers and yet does not get on with what it computes. */
  check(signal: AbortSignal): Promise<void>;
  /** The engine's build, for example builtin:<hash>. */
  identity(signal: AbortSignal): Promise<{ readonly build: string }>;
  memory(): Promise<EngineMemory>;
  /** Nothing while it sleeps. Rejects when the engine does not answer. */
  load(signal: AbortSignal): Promise<EngineLoad>;
  /** Ends the group: SIGTERM, then SIGKILL after `graceMs`, then every process that carries its instance id. */
  stop(graceMs: number): Promise<EngineExit>;
}

export interface EngineAdapter {
  /** The name in `spec.version.engine.name`. */
  readonly engine: Launch['engine'];
  /** Whether this launch is known to survive sleep and wake. Others are stopped instead. */
  survivesSleep(launch: Launch): boolean;
  /** Spawns the group; resolves once its HTTP answers, or, when that comes only with the model, once it runs. */
  start(instance: string, launch: Launch, signal: AbortSignal): Promise<EngineProcess>;
}
