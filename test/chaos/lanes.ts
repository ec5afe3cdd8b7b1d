// A steady load: lanes that ask one model again and again, one stream at a time each. Remembers what became of every call.
// Never judges it.
import { Agent } from 'undici';
import { systemClock } from '../../src/lib/clock.ts';
import { type CallEnd, type CallProgress, callChat } from './chat-call.ts';

export interface LaneSet {
  /** Calls that are running, with what has arrived of them. */
  running(): readonly CallProgress[];
  readonly ended: readonly CallEnd[];
  /** Resolves when content has come of at least that many streams that still run. */
  streaming(count: number): Promise<void>;
  /** Resolves when that many calls have ended. */
  ends(count: number): Promise<void>;
  /** Asks nothing more; resolves when the last call has ended. */
  stop(): Promise<void>;
}

export interface LaneOptions {
  readonly url: string;
  readonly lanesOf: Readonly<Record<string, number>>;
  readonly maxTokens: number;
}

/** A lane that found nobody listening asks again after this time. */
const AGAIN_MS = 20;

export function startLanes({ url, lanesOf, maxTokens }: LaneOptions): LaneSet {
  const dispatcher = new Agent({ connections: null, pipelining: 1 });
  const running = new Map<string, CallProgress>();
  const ended: CallEnd[] = [];
  const waiting = new Set<() => void>();
  let isStopping = false;
  const look = () => {
    for (const one of waiting) one();
  };
  const until = (isSo: () => boolean) =>
    new Promise<void>((resolve) => {
      const one = () => {
        if (!isSo()) return;
        waiting.delete(one);
        resolve();
      };
      waiting.add(one);
      one();
    });
  const lane = async (model: string, number: number) => {
    for (let turn = 1; !isStopping; turn += 1) {
      const id = `${model}-${number}-${turn}`;
      const end = await callChat(
        {
          ...{ url, dispatcher, id, model, maxTokens, stream: true },
          prompt: `Tell me a story about number ${number}.`,
          onPiece(call) {
            running.set(id, call);
            look();
          },
        },
        systemClock.nowMs,
      );
      running.delete(id);
      ended.push(end);
      look();
      if (end.ending === 'unreachable') await new Promise<void>((resolve) => systemClock.after(AGAIN_MS, resolve));
    }
  };
  const lanes = Object.entries(lanesOf).flatMap(([model, count]) =>
    Array.from({ length: count }, (_, number) => lane(model, number)),
  );
  return {
    running: () => [...running.values()],
    ended,
    streaming: (count) => until(() => running.size >= count),
    ends: (count) => until(() => ended.length >= count),
    async stop() {
      isStopping = true;
      await Promise.all(lanes);
      await dispatcher.close();
    },
  };
}
