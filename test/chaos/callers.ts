// Callers of a chaos run: each asks again and again what its own generator draws, hangs up, dawdles, or asks for nonsense.
// Keeps what became of every call; judges nothing.
import { Agent } from 'undici';
import { delay, systemClock } from '../../src/lib/clock.ts';
import { type CallProgress, callChat } from './chat-call.ts';
import { expectedText } from './expected-text.ts';
import type { JudgedCall } from './judge.ts';
import { CALLERS, type CallPlan, type ChaosModel, callerRng, planCall } from './plan.ts';

export interface Callers {
  readonly calls: readonly JudgedCall[];
  runningCount(): number;
  /** Asks nothing more; resolves when every call has ended. */
  stop(): Promise<void>;
}

export function startCallers(options: { url: string; seed: number; models: readonly ChaosModel[] }): Callers {
  const { url, seed, models } = options;
  const dispatcher = new Agent({ connections: null, pipelining: 1 });
  const calls: JudgedCall[] = [];
  const stopping = new AbortController();
  let running = 0;
  const caller = async (number: number) => {
    const rng = callerRng(seed, number);
    for (let turn = 1; !stopping.signal.aborted; turn += 1) {
      const plan = planCall(rng, models);
      running += 1;
      calls.push(await makeCall(plan, { url, dispatcher, id: `c${number}-${turn}` }));
      running -= 1;
      await delay(systemClock, plan.restMs, stopping.signal).catch(() => undefined);
    }
  };
  const callers = Array.from({ length: CALLERS }, (_, number) => caller(number));
  return {
    calls,
    runningCount: () => running,
    async stop() {
      stopping.abort(new Error('the run is over'));
      await Promise.all(callers);
      await dispatcher.close();
    },
  };
}

async function makeCall(
  plan: CallPlan,
  { url, dispatcher, id }: { url: string; dispatcher: Agent; id: string },
): Promise<JudgedCall> {
  const { model, prompt, stream, maxTokens, deadlineMs, habit } = plan;
  const hangUp = new AbortController();
  const patience =
    habit.kind === 'cancels'
      ? systemClock.after(habit.afterMs, () => hangUp.abort(new Error('no patience')))
      : undefined;
  const end = await callChat(
    {
      ...{ url, dispatcher, id, model: model.name, prompt, stream, maxTokens },
      headers: { 'x-stoker-deadline-ms': String(deadlineMs) },
      extra: { temperature: habit.kind === 'wrong' ? 9 : 0 },
      signal: hangUp.signal,
      onPiece: (call) => behave(call, plan, hangUp),
    },
    systemClock.nowMs,
  );
  patience?.cancel();
  const expected = habit.kind === 'wrong' ? '' : expectedText(model.seed, prompt, maxTokens);
  return { end, expected, deadlineMs, isSlow: habit.kind === 'slow' };
}

async function behave({ pieces }: CallProgress, { habit }: CallPlan, hangUp: AbortController): Promise<void> {
  if (habit.kind === 'cancels' && pieces >= habit.afterPieces) hangUp.abort(new Error('heard enough'));
  if (habit.kind === 'slow' && pieces <= habit.pieces) await delay(systemClock, habit.pieceMs);
}
