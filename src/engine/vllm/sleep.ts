// How vLLM is put to sleep and woken (its docs/features/sleep_mode.md). A 200 proves only that a call returned (vllm#48310), so
// the state is read after each order; a call whose outcome is unknown is not repeated, its state is asked for.
import { z } from 'zod';
import { EngineError } from '../engine-error.ts';
import { demand, demandJson, type EngineHttp } from '../third-party/engine-http.ts';

const sleepingSchema = z.object({ is_sleeping: z.boolean() });

export async function vllmSleep(http: EngineHttp, level: 1 | 2, signal: AbortSignal): Promise<void> {
  if (await isSleeping(http, signal)) return;
  const path = `/sleep?level=${level}`;
  await settle(() => demand(http, { method: 'POST', path, refused: 'SleepFailed' }, signal), {
    http,
    wanted: true,
    signal,
  });
  if (await isSleeping(http, signal)) return;
  throw new EngineError('SleepFailed', 'The engine answered the order to sleep and did not fall asleep.');
}

/** Always a full wake: serving after a partial one crashes the engine or garbles answers (vllm-omni#4473). */
export async function vllmWake(http: EngineHttp, level: 1 | 2, signal: AbortSignal): Promise<void> {
  // A second wake maps memory that is mapped already in some releases (vllm-omni#4473).
  if (!(await isSleeping(http, signal))) return;
  if (level === 1) await settle(() => order(http, '/wake_up', signal), { http, wanted: false, signal });
  else await wakeDeep(http, signal);
  if (!(await isSleeping(http, signal))) return;
  throw new EngineError('WakeFailed', 'The engine answered the order to wake and is still asleep.');
}

/** Level 2 dropped the weights: memory first, then the files again, then room for keys and values. In this order. */
async function wakeDeep(http: EngineHttp, signal: AbortSignal): Promise<void> {
  await order(http, '/wake_up?tags=weights', signal);
  const reload = { method: 'POST', path: '/collective_rpc', body: { method: 'reload_weights' } } as const;
  await demand(http, { ...reload, refused: 'WakeFailed' }, signal);
  await order(http, '/wake_up?tags=kv_cache', signal);
  await order(http, '/reset_prefix_cache', signal);
}

async function order(http: EngineHttp, path: string, signal: AbortSignal): Promise<void> {
  await demand(http, { method: 'POST', path, refused: 'WakeFailed' }, signal);
}

async function isSleeping(http: EngineHttp, signal: AbortSignal): Promise<boolean> {
  const what = { method: 'GET', path: '/is_sleeping', answer: sleepingSchema, refused: 'EngineUnreachable' } as const;
  return (await demandJson(http, what, signal)).is_sleeping;
}

/** An order that broke off may have been carried out. */
async function settle(
  run: () => Promise<unknown>,
  { http, wanted, signal }: { http: EngineHttp; wanted: boolean; signal: AbortSignal },
): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (!(error instanceof EngineError) || error.reason !== 'EngineUnreachable' || signal.aborted) throw error;
    const state = await isSleeping(http, signal).catch(() => undefined);
    if (state !== wanted) throw error;
  }
}
