// Twelve simulated models on four slots under a Zipf load, through real processes and the real router, twice: with the product's
// planner and with plain sleeping after a time without requests. Prints what callers got and what it cost; fails when Stoker does
// not win. Engines and load run ten times as fast as life. `--seed N` takes another load.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Agent, request } from 'undici';
import { delay, every, systemClock } from '../src/lib/clock.ts';
import { generateLoad } from '../src/sim/load/generate.ts';
import { type CallEnd, callChat } from '../test/chaos/chat-call.ts';
import { stoker } from '../test/process/fleet.ts';
import { type StartedProcess, startLine, startScript } from '../test/process/started-process.ts';

const SPEED = 10;
const { values } = parseArgs({ options: { seed: { type: 'string', default: '3' } } });
/** Of life: ten minutes, a request a second. */
const LOAD = { seed: Number(values.seed), models: 12, ratePerSecond: 1, spanMs: 600_000 };
/** Ten seconds of life. */
const FIRST_TOKEN_MS_MAX = 10_000 / SPEED;
const OUTPUT_TOKENS_MAX = 100;
const LOOK_EVERY_MS = 100;
const WARM_MS_MAX = 90_000;

type Warmth = 'Awake' | 'Asleep' | 'Staged';

interface Served {
  readonly end: CallEnd;
  readonly met: Warmth;
}

interface Figures {
  readonly requests: number;
  readonly within: number;
  readonly answered: number;
  readonly met: Readonly<Record<Warmth, number>>;
  readonly busySeconds: number;
}

interface Run {
  readonly dataDir: string;
  readonly routerUrl: string;
  readonly statusUrl: string;
  readonly controllerUrl: string;
  readonly dispatcher: Agent;
}

const models = [...readFileSync('manifests/demo-sim/models.yaml', 'utf8').matchAll(/servedName: (\S+)/g)].map(
  ([, name = '']) => name,
);

async function runWith(planner: string): Promise<Figures> {
  const dataDir = mkdtempSync(join(tmpdir(), 'stoker-pool-'));
  const linkPort = await freePort();
  const parts: StartedProcess[] = [];
  const dispatcher = new Agent();
  try {
    const flags = ['--data-dir', dataDir, '--api-port', '0', '--link-port', String(linkPort)];
    const cluster = startLine('npx stoker up --cluster-only', flags);
    parts.push(cluster);
    const controllerLine = await cluster.prints(/npx stoker controller (.*)$/m);
    const routerLine = await cluster.prints(/(npx stoker router .*)$/m);
    const args = controllerLine
      .trim()
      .replace(/--admin-port \d+/, '--admin-port 0')
      .split(' ');
    const controller = startScript('scripts/bench/pool-controller.ts', [planner, ...args]);
    parts.push(controller);
    const router = startLine(routerLine, ['--port', '0', '--admin-port', '0']);
    parts.push(router);
    const controllerUrl = await controller.prints(/"adminUrl":"(http:[^"]+)"/);
    const routerUrl = await router.prints(/"url":"(http:[^"]+)"/);
    const statusUrl = await router.prints(/"adminUrl":"(http:[^"]+)"/);
    await stoker(dataDir, 'delete', 'model', 'demo');
    await stoker(dataDir, 'apply', '-f', 'manifests/demo-sim/pool.yaml');
    await stoker(dataDir, 'apply', '-f', 'manifests/demo-sim/models.yaml');
    const run: Run = { dataDir, routerUrl, statusUrl, controllerUrl, dispatcher };
    await warmUp(run);
    return await measure(run);
  } finally {
    for (const part of parts.reverse()) await part.end('SIGINT');
    await dispatcher.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** Every model was used once before anything is measured: what is compared is the shared pool, not the first start. */
async function warmUp(run: Run): Promise<void> {
  const untilMs = systemClock.nowMs() + WARM_MS_MAX;
  for (const model of models) {
    for (;;) {
      const end = await call(run, { id: `warm-${model}`, model, maxTokens: 1, promptTokens: 10 });
      if (end.ending === 'whole') break;
      if (systemClock.nowMs() > untilMs) throw new Error(`${model} did not come up: ${end.ending} ${end.code}`);
      await delay(systemClock, 100);
    }
  }
}

function call(
  { routerUrl, dispatcher }: Run,
  wish: { id: string; model: string; maxTokens: number; promptTokens: number },
): Promise<CallEnd> {
  const { id, model, maxTokens, promptTokens } = wish;
  const prompt = 'word '.repeat(promptTokens);
  return callChat({ url: routerUrl, dispatcher, id, model, prompt, stream: true, maxTokens }, systemClock.nowMs);
}

async function measure(run: Run): Promise<Figures> {
  const warmth = new Map<string, Warmth>();
  let [busyMs, lookedMs] = [0, systemClock.nowMs()];
  let isLooking = false;
  const look = async () => {
    if (isLooking) return;
    isLooking = true;
    try {
      const nowMs = systemClock.nowMs();
      busyMs += (await countBusy(run)) * (nowMs - lookedMs);
      lookedMs = nowMs;
      await readWarmth(run, warmth);
    } finally {
      isLooking = false;
    }
  };
  await look();
  busyMs = 0;
  const timer = every(systemClock, LOOK_EVERY_MS, () => void look());
  const { requests } = generateLoad('zipf', LOAD);
  const ranked = rankModels(requests.map(({ model }) => model));
  const startedMs = systemClock.nowMs();
  const calls: Promise<Served>[] = [];
  for (const [index, { atMs, model, promptTokens, outputTokens }] of requests.entries()) {
    await delay(systemClock, Math.max(0, startedMs + atMs / SPEED - systemClock.nowMs()));
    const name = ranked.get(model) ?? '';
    const met = warmth.get(name) ?? 'Staged';
    const maxTokens = Math.max(1, Math.min(OUTPUT_TOKENS_MAX, outputTokens));
    const wish = { id: `r-${index}`, model: name, maxTokens, promptTokens: Math.min(500, promptTokens) };
    calls.push(call(run, wish).then((end) => ({ end, met })));
  }
  const served = await Promise.all(calls);
  // Both are watched for the same time, whenever the last answer ended.
  await delay(systemClock, Math.max(0, LOAD.spanMs / SPEED + startedMs - systemClock.nowMs() + 1000));
  timer.cancel();
  return summarize(served, busyMs);
}

function summarize(served: readonly Served[], busyMs: number): Figures {
  const met: Record<Warmth, number> = { Awake: 0, Asleep: 0, Staged: 0 };
  for (const one of served) met[one.met] += 1;
  const isWithin = ({ end }: Served) =>
    end.firstContentMs !== undefined && end.firstContentMs - end.startedMs <= FIRST_TOKEN_MS_MAX;
  return {
    requests: served.length,
    within: served.filter(isWithin).length,
    answered: served.filter(({ end }) => end.ending === 'whole').length,
    met,
    busySeconds: busyMs / 1000,
  };
}

/** The most popular one of the load is the first one of the manifest. */
function rankModels(names: readonly string[]): ReadonlyMap<string, string> {
  const counts = [...Map.groupBy(names, (name) => name)].sort((a, b) => b[1].length - a[1].length);
  return new Map(counts.map(([name], rank) => [name, models[rank] ?? '']));
}

/** Instances that hold the accelerators of their slot. */
async function countBusy({ controllerUrl, dispatcher }: Run): Promise<number> {
  const { body } = await request(`${controllerUrl}/metrics`, { dispatcher });
  const rows = (await body.text()).matchAll(
    /^stoker_instances\{.*rung="(?:Starting|Waking|Awake|Draining|Sleeping|Stopping)".*\} (\d+)/gm,
  );
  return [...rows].reduce((sum, [, count]) => sum + Number(count), 0);
}

async function readWarmth({ statusUrl, dispatcher }: Run, warmth: Map<string, Warmth>): Promise<void> {
  const { body } = await request(`${statusUrl}/status.json`, { dispatcher });
  const { models: rows } = (await body.json()) as { models: { servedName: string; rung: string; awake: number }[] };
  const isWarm = (rung: string) => ['Asleep', 'Sleeping', 'Waking', 'Draining', 'Awake'].includes(rung);
  for (const { servedName, rung, awake } of rows)
    warmth.set(servedName, awake > 0 ? 'Awake' : isWarm(rung) ? 'Asleep' : 'Staged');
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function renderRow(name: string, { requests, within, answered, met, busySeconds }: Figures): string {
  const share = (count: number) => `${((100 * count) / requests).toFixed(1)} %`.padStart(8);
  const rungs = (['Awake', 'Asleep', 'Staged'] as const).map((rung) => share(met[rung])).join(' ');
  return `${name.padEnd(14)}${String(requests).padStart(6)} ${share(within)} ${share(answered)}  ${rungs} ${(busySeconds * SPEED).toFixed(0).padStart(8)}`;
}

const unit = `first token within ${(FIRST_TOKEN_MS_MAX * SPEED) / 1000} s; met = rung of the model when the request came; GPU-seconds of life`;
console.log(
  `12 models on 4 slots, ${LOAD.spanMs / 1000} s of a Zipf load (seed ${LOAD.seed}) at ${SPEED} times the speed of life`,
);
console.log(unit);
console.log(`${''.padEnd(14)}   sent   within answered   met: awake   asleep   staged  GPU-s`);
const plain = await runWith('idle-timeout');
console.log(renderRow('idle timeout', plain));
const own = await runWith('stoker');
console.log(renderRow('stoker', own));
const wins = own.within > plain.within && own.busySeconds <= plain.busySeconds;
console.log(wins ? 'Stoker wins: more in time, on no more GPU-seconds.' : 'Stoker does NOT win on both.');
process.exitCode = wins ? 0 : 1;
