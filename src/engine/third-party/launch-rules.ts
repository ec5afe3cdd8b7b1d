// Rules that the launches of all engines that are not ours obey, checked before anything is started.
import { refuseArguments } from '../../api/engine-arguments.ts';
import type { LlamaServerLaunch, SglangLaunch, VllmLaunch } from '../../api/link.ts';
import { EngineError } from '../engine-error.ts';
import type { EngineHttp } from './engine-http.ts';

/** Throws EngineError. The API refuses such arguments too; a launch of an older controller may still carry them. */
export function checkArguments({ engine, args }: VllmLaunch | SglangLaunch | LlamaServerLaunch): void {
  const refusal = refuseArguments(engine, args);
  if (refusal !== undefined) throw new EngineError('StartFailed', refusal);
}

/** Only 200 means healthy; all three say 503 while they load. */
export async function isHealthy(http: EngineHttp, path: string, signal: AbortSignal): Promise<boolean> {
  return (await http.ask({ method: 'GET', path }, signal)).status === 200;
}
