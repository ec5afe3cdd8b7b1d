// How SGLang gives up its memory and takes it back. It has no question "are you asleep?", ends itself when it is told to release
// memory while it computes, and when it is told to resume what it did not release: so orders are exact and never repeated.
import { z } from 'zod';
import { type Clock, delay } from '../../lib/clock.ts';
import { EngineError } from '../engine-error.ts';
import { demand, demandJson, type EngineHttp } from '../third-party/engine-http.ts';

/** What is released and resumed, by name on both sides: releases differ in what they take when nothing is named. */
const tags = ['kv_cache', 'weights'] as const;
const IDLE_LOOK_EVERY_MS = 100;

export async function sglangSleep(http: EngineHttp, clock: Clock, signal: AbortSignal): Promise<void> {
  const body = { rid: '', abort_all: true };
  await demand(http, { method: 'POST', path: '/abort_request', body, refused: 'SleepFailed' }, signal);
  await whenIdle(http, clock, signal);
  await demand(
    http,
    { method: 'POST', path: '/release_memory_occupation', body: { tags }, refused: 'SleepFailed' },
    signal,
  );
}

/** Flushing the cache is refused with 400 while anything runs or waits. */
async function whenIdle(http: EngineHttp, clock: Clock, signal: AbortSignal): Promise<void> {
  for (;;) {
    const { status } = await http.ask({ method: 'POST', path: '/flush_cache' }, signal);
    if (status === 200) return;
    if (status !== 400) throw new EngineError('SleepFailed', `The engine answered /flush_cache with ${status}.`);
    await delay(clock, IDLE_LOOK_EVERY_MS, signal);
  }
}

/** Level 1 has a copy in memory; after level 2 the weights come from the files again, before there is room for keys and values. */
export async function sglangWake(
  http: EngineHttp,
  { level, weightsPath }: { level: 1 | 2; weightsPath: string },
  signal: AbortSignal,
): Promise<void> {
  if (level === 1) await resume(http, tags, signal);
  else {
    await resume(http, ['weights'], signal);
    await reload(http, weightsPath, signal);
    await resume(http, ['kv_cache'], signal);
  }
  await demand(http, { method: 'POST', path: '/flush_cache', refused: 'WakeFailed' }, signal);
}

async function resume(http: EngineHttp, named: readonly string[], signal: AbortSignal): Promise<void> {
  const what = { method: 'POST', path: '/resume_memory_occupation', body: { tags: named } } as const;
  await demand(http, { ...what, refused: 'WakeFailed' }, signal);
}

const reloadedSchema = z.object({ success: z.boolean(), message: z.string().max(4096).optional() });

async function reload(http: EngineHttp, weightsPath: string, signal: AbortSignal): Promise<void> {
  const what = { method: 'POST', path: '/update_weights_from_disk', body: { model_path: weightsPath } } as const;
  const { success, message } = await demandJson(
    http,
    { ...what, answer: reloadedSchema, refused: 'WakeFailed' },
    signal,
  );
  if (success) return;
  throw new EngineError('WakeFailed', `The engine could not load the weights again: ${message ?? 'it gave no reason'}`);
}
