// What tells one engine that is not ours from another: how it is started, and what is said to it over HTTP. Everything else
// (process group, waits, states, last words) is the same for all of them and lies in third-party-engine.ts.
import type { ProbeSample } from '../../api/model-revision.ts';
import type { EngineLoad } from '../../ports/engine.ts';
import type { EngineHttp } from './engine-http.ts';

/** Where the engine is to listen, and the key that it asks callers for. */
export interface ListenAt {
  readonly host: string;
  readonly port: number;
  readonly key: string;
}

export interface EngineCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
}

export interface EngineFigures extends EngineLoad {
  /** Grows with each step that it computes. */
  readonly steps: number;
}

/** Calls reject with EngineError. */
export interface EngineDialect {
  command(at: ListenAt): EngineCommand;
  /** Whether a line of its log says that the weights are in memory; what follows is compiling, capturing and a first run. */
  saysWeightsLoaded(line: string): boolean;
  /** False while it loads. Must cost nothing and touch no accelerator: it is asked while the engine sleeps, too. */
  isUp(http: EngineHttp, signal: AbortSignal): Promise<boolean>;
  /** The prompt's greedy tokens, with nothing reused of earlier work. `salt` is new each time. */
  probe(http: EngineHttp, salt: string, signal: AbortSignal): Promise<ProbeSample>;
  sleep(http: EngineHttp, level: 1 | 2, signal: AbortSignal): Promise<void>;
  /** `level` is the one that it sleeps at. */
  wake(http: EngineHttp, level: 1 | 2, signal: AbortSignal): Promise<void>;
  figures(http: EngineHttp, signal: AbortSignal): Promise<EngineFigures>;
  version(http: EngineHttp, signal: AbortSignal): Promise<string>;
}

/** Tokens of a probe (DESIGN §6). */
export const PROBE_TOKENS = 8;
/** What every probe asks. Any fixed text does; changing it makes every stored sample worthless. */
export const PROBE_PROMPT = 'The quick brown fox jumps over the lazy dog. Stoker keeps models hot:';

/** As our own engines write them: six digits, and never a minus zero. */
export function renderLogprob(value: number): string {
  return Math.min(value, 0)
    .toFixed(6)
    .replace(/^-0\.000000$/, '0.000000');
}
