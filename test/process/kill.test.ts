// kill -9 of every part while sixteen answers stream: only streams whose own engine, agent or router died are cut, and each
// says so; the next request is served; objects survive. Prints how long each recovery took.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Agent } from 'undici';
import { delay, systemClock } from '../../src/lib/clock.ts';
import { type CallEnd, callChat } from '../chaos/chat-call.ts';
import { type LaneSet, startLanes } from '../chaos/lanes.ts';
import { findParts, killAtOnce, type PartKind, type PartProcess } from '../chaos/part-processes.ts';
import { type PersonApi, personApi } from '../support/person-api.ts';
import { type RunningStoker, startStoker } from '../support/running-stoker.ts';
import { applyFleet, coldModel, type FleetName, fleets, LANES_EACH, objectNames, streamingModels } from './fleet.ts';

interface Trial {
  readonly kind: PartKind;
  /** Whose streams may be cut. */
  readonly cuts: readonly string[];
  /** None has to be: slots that lose their node finish what they can. */
  readonly mayFinish?: boolean;
  /** How a cut stream ends: told by the router, or with a broken connection when it is the router that died. */
  readonly as: 'told' | 'broken';
}

const [victim, neighbour] = streamingModels;
const trials: readonly Trial[] = [
  { kind: 'engine', cuts: [victim], as: 'told' },
  { kind: 'agent', cuts: [victim], as: 'told' },
  { kind: 'router', cuts: [victim, neighbour], as: 'broken' },
  { kind: 'local-node', cuts: [victim, neighbour], mayFinish: true, as: 'told' },
  { kind: 'controller', cuts: [], as: 'told' },
  { kind: 'local-api', cuts: [], as: 'told' },
];

const RECOVERY_MS_MAX = 20_000;
const figures: string[][] = [];

for (const name of Object.keys(fleets) as FleetName[]) describeFleet(name);
after(printFigures);

function describeFleet(name: FleetName): void {
  describe(`kill -9 of each part while 16 answers stream, engine ${name}`, { timeout: 420_000 }, () => {
    let running: RunningStoker;
    let api: PersonApi;
    const dispatcher = new Agent();

    before(async () => {
      running = await startStoker();
      await applyFleet(running.dataDir, name);
      api = personApi(running.kubeconfig);
      for (const model of [coldModel, ...streamingModels]) await untilServed(model, systemClock.nowMs());
    });

    after(async () => {
      await api.close();
      await dispatcher.close();
      assert.deepEqual(await running.stop(), []);
    });

    /** Asks again until a whole answer came. Returns when its first token came, counted from `sinceMs`. */
    async function untilServed(model: string, sinceMs: number): Promise<number> {
      for (let turn = 1; ; turn += 1) {
        const { openai: url } = running.addresses;
        const wish = { url, dispatcher, id: `probe-${model}-${turn}`, model, prompt: 'Hello!', stream: true };
        const end = await callChat({ ...wish, maxTokens: 20 }, systemClock.nowMs);
        if (end.ending === 'whole') return (end.firstContentMs ?? 0) - sinceMs;
        assert.notEqual(end.ending, 'untruthful');
        const elapsedMs = systemClock.nowMs() - sinceMs;
        assert.ok(
          elapsedMs < RECOVERY_MS_MAX,
          `${model} is not served after ${elapsedMs} ms: ${end.ending} ${end.code}`,
        );
        await delay(systemClock, 10);
      }
    }

    function victimOf(kind: PartKind): PartProcess {
      const parts = findParts(running.process.pid ?? -1);
      const engine = parts.find((part) => part.kind === 'engine' && part.revision?.startsWith(`${victim}-`));
      const found =
        kind === 'engine'
          ? engine
          : parts.find((part) => part.kind === kind && (kind !== 'agent' || part.podUid === engine?.podUid));
      assert.ok(found, `a ${kind} runs`);
      return found;
    }

    /** The API itself may be what is coming back. */
    async function objectNamesWhenBack(): Promise<readonly string[]> {
      const sinceMs = systemClock.nowMs();
      for (;;) {
        try {
          return await objectNames(api);
        } catch (error) {
          if (systemClock.nowMs() - sinceMs > RECOVERY_MS_MAX) throw error;
          await delay(systemClock, 50);
        }
      }
    }

    for (const trial of trials) {
      test(trial.kind, async () => {
        const objects = await objectNames(api);
        const lanes = startLanes({
          url: running.addresses.openai,
          lanesOf: { [victim]: LANES_EACH, [neighbour]: LANES_EACH },
          maxTokens: 400,
        });
        // Looked for first: answers are short, and those that are noted are to be under way when it dies.
        const part = victimOf(trial.kind);
        await lanes.streaming(2 * LANES_EACH);
        const streaming = lanes.running().map((call) => call.id);
        const killedMs = systemClock.nowMs();
        assert.ok(killAtOnce(part));
        const servedMs = await untilServed(victim, killedMs);
        await lanes.stop();
        const coldMs = await untilServed(coldModel, systemClock.nowMs());
        for (const model of streamingModels) await untilServed(model, systemClock.nowMs());
        judge(trial, lanes, { streaming, killedMs });
        assert.deepEqual(await objectNamesWhenBack(), objects, 'every object is the same one as before');
        figures.push([name, trial.kind, cutsOf(lanes), seconds(servedMs), seconds(coldMs)]);
      });
    }
  });
}

function judge(
  { cuts, mayFinish, as, kind }: Trial,
  { ended }: LaneSet,
  { streaming, killedMs }: { streaming: readonly string[]; killedMs: number },
): void {
  assert.equal(streaming.length, 2 * LANES_EACH);
  for (const end of ended) {
    const wasStreaming = streaming.includes(end.id);
    const mayBeCut = cuts.includes(end.model);
    // While there is no router nobody listens; a request that was on its way breaks, too.
    const isAway = kind === 'router' && (end.ending === 'unreachable' || end.ending === 'broken');
    const isCut = mayBeCut && end.ending === as && end.endedMs >= killedMs;
    assert.ok(
      end.ending === 'whole' || isAway || isCut,
      `${end.id} (${wasStreaming ? 'streaming' : 'later'}) ended as ${end.ending}: ${end.code}`,
    );
  }
  const cut = ended.filter(({ id, ending }) => streaming.includes(id) && ending === as);
  if (cuts.length > 0 && mayFinish !== true) assert.ok(cut.length > 0, 'the streams of what died are cut');
}

function cutsOf({ ended }: LaneSet): string {
  const count = (ending: CallEnd['ending']) => ended.filter((end) => end.ending === ending).length;
  return `${count('told') + count('broken')} of ${ended.length - count('unreachable')}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

function printFigures(): void {
  const rows = [['ENGINE', 'KILLED', 'STREAMS CUT', 'NEXT TOKEN AFTER', 'A COLD MODEL AFTER'], ...figures];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  for (const row of rows)
    process.stdout.write(`${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}\n`);
}
