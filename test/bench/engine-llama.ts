// How fast the built-in engine answers on this machine: plain answers, answers with log-probabilities, and, when another
// checkout is named, the same plain answers there. Every round runs all cases in turn, so that what else the machine does
// falls on all of them; the figures are medians of the rounds, and ratios of the same run.
//
//     npm run bench:engine -- [path of another checkout]
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { request } from 'undici';

const ROUNDS = 9;
const TOKENS = 150;
const KEY = 'k'.repeat(32);
const here = join(import.meta.dirname, '../..');
/** Ten letters pushed above everything else, so that an answer of them goes on for as long as it may. */
const letters = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [64 + index, 60]));

interface Server {
  readonly child: ChildProcess;
  readonly url: string;
}

async function start(checkout: string): Promise<Server> {
  const child = spawn(process.execPath, [join(checkout, 'src/engine/llama/server-process.ts')], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const config = {
    instance: 'bench/demo/1',
    modelPath: join(here, 'models/stoker-demo-1m.gguf'),
    servedName: 'demo',
    contextLength: 512,
    concurrency: 16,
    threads: 1,
    gpu: false,
    key: KEY,
    drainMs: 0,
  };
  child.stdin.write(`${JSON.stringify(config)}\n`);
  let port = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    const said = JSON.parse(line) as { type: string; port?: number; state?: string };
    port = said.port ?? port;
    if (said.state === 'ready') return { child, url: `http://127.0.0.1:${port}` };
  }
  throw new Error(`The model server of ${checkout} ended before it was ready.`);
}

/** Tokens per second of that many streams together. */
async function measure({ url }: Server, streams: number, more: object): Promise<number> {
  const beganMs = performance.now();
  const answers = Array.from({ length: streams }, async (_, seed) => {
    const body = JSON.stringify({
      messages: [{ role: 'user', content: 'Go on.' }],
      stream: true,
      max_tokens: TOKENS,
      logit_bias: letters,
      seed,
      ...more,
    });
    const headers = { authorization: `Bearer ${KEY}` };
    const answer = await request(`${url}/v1/chat/completions`, { method: 'POST', headers, body });
    if (answer.statusCode !== 200) throw new Error(await answer.body.text());
    await answer.body.dump({ limit: Number.MAX_SAFE_INTEGER });
  });
  await Promise.all(answers);
  return (streams * TOKENS * 1000) / (performance.now() - beganMs);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

const [against] = process.argv.slice(2);
const own = await start(here);
const other = against === undefined ? undefined : await start(against);
const scored = { logprobs: true, top_logprobs: 5 };
const cases = [
  { name: 'plain', server: own, more: {} },
  { name: 'logprobs', server: own, more: scored },
  ...(other === undefined ? [] : [{ name: 'plain, other checkout', server: other, more: {} }]),
];
for (const streams of [1, 4, 16]) {
  const figures = cases.map(() => [] as number[]);
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [index, { server, more }] of cases.entries()) {
      const tokensPerSecond = await measure(server, streams, more);
      // The first round warms up.
      if (round > 0) figures[index]?.push(tokensPerSecond);
    }
  }
  const plain = median(figures[0] ?? []);
  for (const [index, { name }] of cases.entries()) {
    const figure = median(figures[index] ?? []);
    console.log(`${streams} streams, ${name}: ${Math.round(figure)} tokens/s, ${(figure / plain).toFixed(2)} of plain`);
  }
}
for (const server of [own, other]) {
  if (server === undefined) continue;
  const exited = once(server.child, 'exit');
  server.child.stdin?.end();
  await exited;
}
