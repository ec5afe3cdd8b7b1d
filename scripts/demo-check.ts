// `npm run demo:check`: does what the README says, against the real engine and the demo model, and prints figures.
// Starts its own Stoker on free ports with a data folder of its own; ends with every process of it gone.
// A machine that stood still for a moment is no reason to fail: whoever is late is measured again, from the start.
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import OpenAI from 'openai';
import { addressesSchema } from '../src/api/addresses.ts';
import { delay, systemClock } from '../src/lib/clock.ts';
import { descendants, isRunning, proportionalMiB } from '../test/support/process-tree.ts';

const root = join(import.meta.dirname, '..');
const exec = promisify(execFile);
const ATTEMPTS_MAX = 3;
let figures: [string, string][] = [];
const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;

interface Demo {
  readonly process: ChildProcess;
  readonly dataDir: string;
  readonly client: OpenAI;
  readonly openai: string;
  readonly status: string;
  readonly readyMs: number;
}

class TooSlow extends Error {}

async function main(): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await runDemo();
    } catch (error) {
      if (!(error instanceof TooSlow) || attempt === ATTEMPTS_MAX) throw error;
      process.stdout.write(`\n${error.message}: measured again, attempt ${attempt + 1} of ${ATTEMPTS_MAX}\n\n`);
      figures = [];
    }
  }
}

async function runDemo(): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'stoker-demo-'));
  const demo = await step('start', () => startDemo(dataDir));
  let failed = true;
  try {
    figure('time to ready', seconds(demo.readyMs), { measuredMs: demo.readyMs, atMostMs: 3000 });
    await step('nothing is awake', () => checkNothingAwake(demo));
    await step('a cold stream is held and answered', () => checkColdStream(demo));
    await step('kubectl', () => checkKubectl(demo));
    await step('sleep', () => waitForRung(demo, 'Asleep'));
    await step('a warm wake', () => checkWarmWake(demo));
    await step('a JSON request is held and served', () => checkHeldJson(demo));
    await step('32 streams at once', () => checkManyStreams(demo));
    figure(
      'memory of all processes (proportional)',
      `${proportionalMiB([demo.process.pid ?? 0, ...descendants(demo.process.pid ?? 0).map((ref) => ref.pid)]).toFixed(0)} MiB`,
    );
    failed = false;
  } finally {
    if (failed) printLogs(dataDir);
    await step('stop', () => stopDemo(demo));
    rmSync(dataDir, { recursive: true, force: true });
  }
  const width = Math.max(...figures.map(([name]) => name.length));
  process.stdout.write(
    `\n${figures.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n')}\n\ndemo:check passed\n`,
  );
}

async function step<T>(name: string, run: () => Promise<T>): Promise<T> {
  const startedMs = systemClock.nowMs();
  process.stdout.write(`- ${name} …`);
  try {
    const value = await run();
    process.stdout.write(` ${seconds(systemClock.nowMs() - startedMs)}\n`);
    return value;
  } catch (error) {
    process.stdout.write(' FAILED\n');
    throw error;
  }
}

function figure(name: string, value: string, limit?: { measuredMs: number; atMostMs: number }): void {
  figures.push([name, limit === undefined ? value : `${value} (at most ${seconds(limit.atMostMs)})`]);
  if (limit !== undefined && limit.measuredMs > limit.atMostMs)
    throw new TooSlow(`${name}: ${value} is more than ${seconds(limit.atMostMs)}`);
}

async function startDemo(dataDir: string): Promise<Demo> {
  const startedMs = systemClock.nowMs();
  const ports = ['--port', '0', '--admin-port', '0', '--api-port', '0', '--link-port', '0'];
  const child = spawn(process.execPath, ['bin/stoker.js', 'up', '--data-dir', dataDir, ...ports], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let screen = '';
  await new Promise<void>((resolve, reject) => {
    child.stdout?.on('data', (bytes: Buffer) => {
      screen += bytes.toString('utf8');
      if (screen.includes('Ctrl-C stops everything')) resolve();
    });
    child.once('exit', (code) => reject(new Error(`stoker up ended with ${code}: ${screen}`)));
  });
  const readyMs = systemClock.nowMs() - startedMs;
  assert.match(screen, /curl -N .*"stream":true/, 'the screen has a line to paste');
  const addresses = addressesSchema.required().parse(JSON.parse(readFileSync(join(dataDir, 'addresses.json'), 'utf8')));
  const client = new OpenAI({ baseURL: `${addresses.openai}/v1`, apiKey: 'none', maxRetries: 0 });
  return { process: child, dataDir, client, openai: addresses.openai, status: addresses.status, readyMs };
}

async function kubectl(demo: Demo, ...args: string[]): Promise<string> {
  const local = join(root, '.cache/bin/kubectl');
  const command = existsSync(local) ? local : 'kubectl';
  const env = { ...process.env, KUBECONFIG: join(demo.dataDir, 'kubeconfig') };
  const { stdout } = await exec(command, args, { cwd: root, env, timeout: 60_000 });
  return stdout;
}

async function rungOf(demo: Demo): Promise<string> {
  return kubectl(demo, 'get', 'model', 'demo', '-o', 'jsonpath={.status.rung}');
}

async function waitForRung(demo: Demo, rung: string): Promise<void> {
  await kubectl(demo, 'wait', 'model/demo', `--for=jsonpath={.status.rung}=${rung}`, '--timeout=60s');
}

async function checkNothingAwake(demo: Demo): Promise<void> {
  const rung = await rungOf(demo);
  assert.ok(rung === 'Staged' || rung === 'Absent' || rung === '', `nothing is awake, but demo is ${rung}`);
}

/** Asks for a stream as curl would; returns what came and when. */
async function rawStream(demo: Demo, prompt: string) {
  const startedMs = systemClock.nowMs();
  const response = await fetch(`${demo.openai}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'demo',
      stream: true,
      max_tokens: 40,
      messages: [{ role: 'user', content: prompt }],
    }),
  });
  assert.equal(response.status, 200);
  let text = '';
  let firstContentMs = 0;
  const decoder = new TextDecoder();
  for await (const bytes of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    text += decoder.decode(bytes, { stream: true });
    if (firstContentMs === 0 && /"content":"[^"]+"/.test(text)) firstContentMs = systemClock.nowMs() - startedMs;
  }
  return { text, firstContentMs };
}

async function checkColdStream(demo: Demo): Promise<void> {
  const { text, firstContentMs } = await rawStream(demo, 'What is a load balancer?');
  assert.match(text, /^: .*demo/m, 'the stream says that it is held');
  assert.match(text, /data: \[DONE\]\n\n$/, 'the stream ends with [DONE]');
  figure('cold first token', seconds(firstContentMs), { measuredMs: firstContentMs, atMostMs: 3000 });
  const stream = await demo.client.chat.completions.create({
    model: 'demo',
    stream: true,
    stream_options: { include_usage: true },
    messages: [{ role: 'user', content: 'Tell me a story about a fox.' }],
    max_tokens: 60,
  });
  let answer = '';
  let tokens = 0;
  for await (const chunk of stream) {
    answer += chunk.choices[0]?.delta.content ?? '';
    tokens = chunk.usage?.completion_tokens ?? tokens;
  }
  assert.match(answer, /[a-z]+ [a-z]+ [a-z]+/, 'the answer is words');
  assert.ok(tokens > 0, 'usage counts tokens');
}

async function checkWarmWake(demo: Demo): Promise<void> {
  const { firstContentMs, text } = await rawStream(demo, 'What is a cache?');
  assert.match(text, /\[DONE\]/);
  figure('warm wake to first token', seconds(firstContentMs), { measuredMs: firstContentMs, atMostMs: 1000 });
}

async function checkHeldJson(demo: Demo): Promise<void> {
  await waitForRung(demo, 'Asleep');
  const startedMs = systemClock.nowMs();
  const answer = await demo.client.chat.completions.create({
    model: 'demo',
    messages: [{ role: 'user', content: 'Hello!' }],
    max_tokens: 30,
  });
  assert.ok((answer.choices[0]?.message.content ?? '').length > 0, 'the answer has text');
  assert.ok((answer.usage?.total_tokens ?? 0) > 0, 'usage counts tokens');
  figure('held JSON request', seconds(systemClock.nowMs() - startedMs));
}

async function checkManyStreams(demo: Demo): Promise<void> {
  const startedMs = systemClock.nowMs();
  const ends = await Promise.all(
    Array.from({ length: 32 }, (_, index) => rawStream(demo, `Tell me a story about number ${index}.`)),
  );
  for (const { text } of ends) assert.match(text, /data: \[DONE\]\n\n$/, 'no stream is lost');
  figure('32 streams of up to 40 tokens', seconds(systemClock.nowMs() - startedMs));
}

async function checkKubectl(demo: Demo): Promise<void> {
  assert.match(await kubectl(demo, 'get', 'models,pods'), /model\.stoker\.dev\/demo[\s\S]*pod\/default-/);
  const manifest = join(demo.dataDir, 'model.yaml');
  const weights = join(root, 'models/stoker-demo-1m.gguf');
  const model = {
    apiVersion: 'stoker.dev/v1alpha1',
    kind: 'Model',
    metadata: { name: 'second' },
    spec: {
      servedName: 'second',
      version: { weights: { file: { path: weights } }, contextLength: 512 },
      pools: ['default'],
    },
  };
  writeFileSync(manifest, JSON.stringify(model));
  assert.match(await kubectl(demo, 'apply', '-f', manifest), /created/);
  assert.match(await kubectl(demo, 'apply', '-f', manifest), /unchanged/);
  await kubectl(demo, 'wait', 'model/second', '--for=condition=Pinned', '--timeout=30s');
  assert.match(await kubectl(demo, 'describe', 'model', 'second'), /Served Name:\s+second[\s\S]*Events:/);
  assert.match(await kubectl(demo, 'explain', 'model.spec.scaling'), /sleepAfterSeconds/);
  assert.match(await kubectl(demo, 'delete', 'model', 'second', '--timeout=30s'), /deleted/);
  await kubectl(demo, 'patch', 'model', 'demo', '--type=merge', '-p', '{"spec":{"scaling":{"sleepAfterSeconds":1}}}');
}

async function stopDemo(demo: Demo): Promise<void> {
  const { pid } = demo.process;
  if (pid === undefined) return;
  const family = descendants(pid);
  const gone = new Promise<void>((resolve) => demo.process.once('exit', () => resolve()));
  const startedMs = systemClock.nowMs();
  demo.process.kill('SIGINT');
  await gone;
  figure('stop', seconds(systemClock.nowMs() - startedMs));
  // The kernel may take a moment to reap what was killed last.
  for (let tries = 0; tries < 20 && family.some(isRunning); tries += 1) await delay(systemClock, 50);
  assert.deepEqual(family.filter(isRunning), [], 'no process is left');
  figure('processes that were left', `0 of ${family.length}`);
}

function printLogs(dataDir: string): void {
  for (const name of ['local-api', 'local-node', 'controller', 'router', 'up']) {
    const path = join(dataDir, 'logs', `${name}.log`);
    if (existsSync(path)) process.stderr.write(`--- ${name}\n${readFileSync(path, 'utf8').slice(-4000)}\n`);
  }
}

await main();
