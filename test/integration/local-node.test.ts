// The local node with real processes, against the API in memory: what containers are given, how they end, and that nothing
// is ever left behind.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { ContainerSpec, Pod } from '../../src/api/kinds.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { createLocalNode, type LocalNode, type LocalNodeOptions } from '../../src/local/node/node.ts';
import { findMembers, readStartTicks } from '../../src/local/node/processes.ts';
import { createMemoryNodeApi, type MemoryNodeApi } from '../support/memory-node-api.ts';
import { until } from '../support/until.ts';

/** Waits are a fraction of what they are in production, and always the same. */
const rng = { next: () => 0.05, below: () => 0 };

let dataDir = '';
let api: MemoryNodeApi;
let node: LocalNode;
const uids: string[] = [];

function createNode(options: Partial<LocalNodeOptions> = {}): LocalNode {
  return createLocalNode({
    api,
    nodeName: 'local',
    dataDir,
    capacity: { cpu: '2', memory: '8Gi', 'stoker.dev/cpu': '2' },
    entryPoint: { command: process.execPath, args: ['-e', agentScript, '--'] },
    allowCommands: true,
    environment: { GIVEN: 'by the node' },
    clock: systemClock,
    rng,
    log: silentLog,
    ...options,
  });
}

/** What the agent does as far as the node sees it: listens, writes its ports, is ready, ends on SIGTERM or a lost parent. */
const agentScript = `
const { createServer } = require('node:http');
const { writeFileSync, renameSync } = require('node:fs');
const server = createServer((request, response) => response.writeHead(request.url === '/readyz' ? 200 : 404).end());
server.listen(0, process.env.STOKER_BIND_HOST, () => {
  const path = process.env.STOKER_PORTS_FILE;
  writeFileSync(path + '.new', JSON.stringify({ data: 1, admin: server.address().port }));
  renameSync(path + '.new', path);
});
console.log(JSON.stringify({ args: process.argv.slice(1), env: process.env }));
process.on('SIGTERM', () => process.exit(0));
process.stdin.on('end', () => process.exit(3)).resume();
`;

const agent: ContainerSpec = {
  name: 'agent',
  image: 'stoker.dev/stoker:test',
  command: ['stoker', 'agent'],
  ports: [
    { name: 'data', containerPort: 8000 },
    { name: 'admin', containerPort: 8001 },
  ],
  readinessProbe: { httpGet: { path: '/readyz', port: 'admin' }, periodSeconds: 1 },
  volumeMounts: [{ name: 'link-token', mountPath: '/var/run/stoker/link' }],
  resources: { requests: { 'stoker.dev/cpu': '1' }, limits: { 'stoker.dev/cpu': '1' } },
  env: [
    { name: 'PLAIN', value: 'a value' },
    { name: 'STOKER_POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
    { name: 'STOKER_POD_UID', valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
    { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
  ],
};
const tokenVolume = {
  name: 'link-token',
  projected: {
    sources: [{ serviceAccountToken: { audience: 'stoker-link', expirationSeconds: 3600, path: 'token' } }],
  },
};
const slotSpec: Pod['spec'] = { containers: [agent], volumes: [tokenVolume], serviceAccountName: 'stoker-slot' };

function shell(script: string, more: Partial<ContainerSpec> = {}): ContainerSpec {
  return { name: 'main', image: 'none', command: ['sh', '-c', script], ...more };
}

function create(name: string, spec: Pod['spec'], metadata: Partial<Pod['metadata']> = {}): string {
  const uid = api.create(name, spec, metadata).metadata.uid ?? '';
  uids.push(uid);
  return uid;
}

function condition(name: string, type: string) {
  return api.pod(name)?.status?.conditions?.find((entry) => entry.type === type);
}

const isReady = (name: string) => condition(name, 'Ready')?.status === 'True';
const phase = (name: string) => api.pod(name)?.status?.phase;
const stateOf = (name: string) => JSON.stringify(containerOf(name)?.state ?? {});
const containerOf = (name: string) => api.pod(name)?.status?.containerStatuses?.[0];
const podFolder = (uid: string) => join(dataDir, 'pods', uid);
const logOf = (uid: string, container: string) =>
  readFileSync(join(podFolder(uid), 'containers', container, 'output.log'), 'utf8');

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'stoker-node-'));
  api = createMemoryNodeApi();
  node = createNode();
  await node.start();
});

afterEach(async () => {
  await node.stop();
  const left = await Promise.all(uids.splice(0).map((podUid) => findMembers({ podUid })));
  rmSync(dataDir, { recursive: true, force: true });
  assert.deepEqual(left.flat(), [], 'no process is left');
});

describe('a slot', { timeout: 30_000 }, () => {
  test('runs, is ready, and goes when it is deleted', async () => {
    const uid = create('slot', slotSpec);
    await until(() => isReady('slot'), 'the slot is ready');
    const status = api.pod('slot')?.status;
    assert.equal(status?.phase, 'Running');
    assert.equal(status?.podIP, '127.0.0.1');
    assert.equal(condition('slot', 'PodScheduled')?.status, 'True');
    assert.deepEqual(containerOf('slot')?.restartCount, 0);

    const { env, args } = JSON.parse(logOf(uid, 'agent').split('\n')[0] ?? '');
    assert.deepEqual(args.slice(-1), ['agent']);
    assert.equal(env.PLAIN, 'a value');
    assert.equal(env.STOKER_POD_NAME, 'slot');
    assert.equal(env.STOKER_POD_UID, uid);
    assert.equal(env.IP, '127.0.0.1');
    assert.equal(env.GIVEN, 'by the node');
    assert.equal(env.STOKER_PARENT_PIPE, '1');
    assert.equal(env.HOME, undefined, 'nothing of our own environment reaches it');
    const token = join(env.STOKER_MOUNT_ROOT, '/var/run/stoker/link/token');
    assert.equal(readFileSync(token, 'utf8'), 'token-0');
    assert.equal(statSync(token).mode & 0o777, 0o600);
    assert.equal(statSync(podFolder(uid)).mode & 0o777, 0o700);
    assert.deepEqual(api.tokens[0], {
      pod: { namespace: 'default', name: 'slot', uid },
      token: 'token-0',
      audience: 'stoker-link',
    });

    api.remove('slot');
    await until(() => api.pod('slot') === undefined, 'the object is removed');
    assert.deepEqual(await findMembers({ podUid: uid }), []);
    assert.equal(existsSync(podFolder(uid)), false);
  });

  test('a condition keeps its time while its status stays', async () => {
    await node.stop();
    let wallMs = systemClock.wallMs();
    const clock = { ...systemClock, wallMs: () => (wallMs += 10_000) };
    node = createNode({ clock });
    await node.start();
    const uid = create('slot', slotSpec);
    await until(() => isReady('slot'), 'the slot is ready');
    const said = api.statuses.filter((entry) => entry.uid === uid).flatMap(({ status }) => status.conditions ?? []);
    const timesOf = (type: string) =>
      new Set(said.filter((entry) => entry.type === type).map((entry) => entry.lastTransitionTime));
    assert.ok(said.length > 4, 'several statuses were told');
    assert.equal(timesOf('PodScheduled').size, 1);
    assert.equal(timesOf('Ready').size, 2);
  });

  test('gets a new token before the old one ends, and keeps the old one while the API is away', async () => {
    api.tokenSeconds = 0.5;
    const uid = create('slot', slotSpec);
    const token = () => readFileSync(join(podFolder(uid), 'volumes/link-token/token'), 'utf8');
    await until(() => api.tokens.length >= 2 && token() !== 'token-0', 'the token was replaced');
    api.isAway = true;
    const kept = token();
    api.tokenSeconds = 3600;
    await until(
      () => existsSync(join(podFolder(uid), 'volumes/link-token/token')) && token() === kept,
      'the token stays',
    );
    api.isAway = false;
    await until(() => token() !== kept, 'the token was replaced again');
  });

  test('waits for its first token and says so', async () => {
    api.refusesTokens = true;
    create('slot', slotSpec);
    await until(() => api.pod('slot')?.status?.message !== undefined, 'it says what it waits for');
    const sentence = 'A token of stoker-slot for stoker-link was not given: no tokens today';
    assert.deepEqual([phase('slot'), api.pod('slot')?.status?.message], ['Pending', sentence]);
    api.refusesTokens = false;
    await until(() => isReady('slot'), 'the slot is ready');
    assert.equal(api.pod('slot')?.status?.message, undefined);
  });
});

describe('the end of a container', { timeout: 30_000 }, () => {
  test('what ignores SIGTERM is killed after the grace, with all that it started', async () => {
    const script = `trap '' TERM; setsid sh -c 'trap "" TERM; while :; do sleep 1; done' & echo up; while :; do sleep 0.1; done`;
    const uid = create('stubborn', { containers: [shell(script)] });
    await until(() => phase('stubborn') === 'Running' && logOf(uid, 'main').includes('up'), 'it runs');
    assert.ok((await findMembers({ podUid: uid })).length >= 2);
    const startedMs = performance.now();
    api.remove('stubborn', 1);
    await until(() => api.pod('stubborn') === undefined, 'the object is removed');
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs >= 950 && tookMs < 10_000, `${tookMs} ms`);
    assert.deepEqual(await findMembers({ podUid: uid }), []);
  });

  test('an engine that cleared its environment is found by its instance', async () => {
    const script = `setsid env -i STOKER_INSTANCE=$STOKER_POD_UID/rev/1 sh -c 'while :; do sleep 0.1; done' & echo up; sleep 1000`;
    const uid = create('engine', { containers: [shell(script)] });
    const other = create('other', { containers: [shell('sleep 1000')] });
    await until(() => phase('engine') === 'Running' && phase('other') === 'Running', 'both run');
    await until(() => logOf(uid, 'main').includes('up'), 'the engine runs');
    api.remove('engine');
    await until(() => api.pod('engine') === undefined, 'the object is removed');
    assert.deepEqual(await findMembers({ podUid: uid }), []);
    assert.equal((await findMembers({ podUid: other })).length > 0, true, 'nobody else is ended');
  });

  test('a second deletion with less grace is heard', async () => {
    create('stubborn', { containers: [shell(`trap '' TERM; while :; do sleep 0.1; done`)] });
    await until(() => phase('stubborn') === 'Running', 'it runs');
    api.remove('stubborn', 3600);
    api.remove('stubborn', 0);
    await until(() => api.pod('stubborn') === undefined, 'the object is removed');
  });

  test('an object that is forced away takes its processes with it', async () => {
    const uid = create('forced', { containers: [shell('sleep 1000')] });
    await until(() => phase('forced') === 'Running', 'it runs');
    api.force('forced');
    await until(() => !existsSync(podFolder(uid)), 'the folder is gone');
    assert.deepEqual(await findMembers({ podUid: uid }), []);
  });

  test('restarts with its count and its last state; other policies end the Pod', async () => {
    create('again', { containers: [shell('exit 3')] });
    create('good', { containers: [shell('exit 0')], restartPolicy: 'Never' });
    create('bad', { containers: [shell('kill -9 $$')], restartPolicy: 'Never' });
    create('retried', {
      containers: [shell('test -e "$STOKER_DATA_DIR/x" || { touch "$STOKER_DATA_DIR/x"; exit 1; }')],
      restartPolicy: 'OnFailure',
    });
    await until(() => phase('good') === 'Succeeded', 'good has succeeded');
    await until(() => phase('bad') === 'Failed', 'bad has failed');
    await until(() => phase('retried') === 'Succeeded', 'retried has succeeded');
    await until(() => (containerOf('again')?.restartCount ?? 0) >= 2, 'again was restarted');
    assert.equal(containerOf('retried')?.restartCount, 1);
    assert.match(stateOf('bad'), /"exitCode":137,.*"reason":"Error","signal":9/);
    await until(() => stateOf('again').includes('CrashLoopBackOff'), 'it waits');
    assert.match(JSON.stringify(containerOf('again')?.lastState), /"exitCode":3/);
    assert.equal(phase('again'), 'Running');
    api.remove('good');
    await until(() => api.pod('good') === undefined, 'a Pod that has ended is removed');
  });

  test('a command that does not exist', async () => {
    create('none', {
      containers: [{ name: 'main', image: 'none', command: ['/no/such/program'] }],
      restartPolicy: 'Never',
    });
    await until(() => phase('none') === 'Failed', 'it has failed');
    assert.match(stateOf('none'), /StartError.*ENOENT/);
  });
});

describe('places', { timeout: 30_000 }, () => {
  const sized = (cpus: string): Pod['spec'] => ({
    containers: [
      shell('trap "exit 0" TERM; while :; do sleep 0.05; done', {
        resources: { requests: { 'stoker.dev/cpu': cpus } },
      }),
    ],
  });

  test('what does not fit waits with the arithmetic, and starts when something ends', async () => {
    create('first', sized('2'));
    await until(() => phase('first') === 'Running', 'the first runs');
    create('second', sized('1'));
    await until(() => condition('second', 'PodScheduled') !== undefined, 'the second was judged');
    const scheduled = condition('second', 'PodScheduled');
    assert.equal(phase('second'), 'Pending');
    assert.equal(scheduled?.reason, 'Unschedulable');
    assert.equal(scheduled?.message, 'The Pod does not fit: of 2 stoker.dev/cpu, 2 is taken and 1 is asked for.');
    api.remove('first');
    await until(() => phase('second') === 'Running', 'the second runs');
    assert.equal(condition('second', 'PodScheduled')?.status, 'True');
    create('gpu', { containers: [shell('true', { resources: { limits: { 'nvidia.com/gpu': '1' } } })] });
    await until(() => condition('gpu', 'PodScheduled') !== undefined, 'the GPU Pod was judged');
    assert.match(
      condition('gpu', 'PodScheduled')?.message ?? '',
      /the node has no nvidia\.com\/gpu, and 1 is asked for/,
    );
    api.remove('gpu');
    await until(() => api.pod('gpu') === undefined, 'a Pod that waits is removed at once');
  });

  test('a Pod of another node is left alone', async () => {
    create('elsewhere', { ...sized('1'), nodeName: 'other' });
    create('here', { ...sized('1'), nodeName: 'local' });
    await until(() => phase('here') === 'Running', 'ours runs');
    assert.equal(api.pod('elsewhere')?.status, undefined);
  });
});

describe('what is refused', { timeout: 30_000 }, () => {
  test('commands, without --allow-commands', async () => {
    await node.stop();
    node = createNode({ allowCommands: false });
    await node.start();
    create('shell', { containers: [shell('touch /tmp/never')] });
    create('controller', { containers: [{ name: 'main', image: 'none', command: ['stoker', 'up'] }] });
    create('slot', slotSpec);
    await until(() => phase('shell') === 'Failed' && phase('controller') === 'Failed', 'both are refused');
    assert.equal(api.pod('shell')?.status?.reason, 'CommandNotAllowed');
    assert.match(api.pod('shell')?.status?.message ?? '', /wants to run "sh".*--allow-commands/);
    await until(() => isReady('slot'), 'the agent runs');
  });

  test('what the node cannot do', async () => {
    const inits = { containers: [shell('true')], initContainers: [shell('true')] };
    create('inits', inits);
    create('volume', { containers: [shell('true')], volumes: [{ name: 'a' }] });
    create('escape', {
      containers: [shell('true', { volumeMounts: [{ name: 'a', mountPath: '/../../x' }] })],
      volumes: [{ name: 'a', emptyDir: {} }],
    });
    await until(() => ['inits', 'volume', 'escape'].every((name) => phase(name) === 'Failed'), 'all are refused');
    assert.match(api.pod('inits')?.status?.message ?? '', /no initContainers/);
    assert.match(api.pod('volume')?.status?.message ?? '', /Volume a is of a kind/);
    assert.match(api.pod('escape')?.status?.message ?? '', /cannot mount/);
  });

  test('a Secret that is not there is waited for', async () => {
    const env = [{ name: 'KEY', valueFrom: { secretKeyRef: { name: 'keys', key: 'a' } } }];
    const uid = create('secret', { containers: [shell('echo "got $KEY"; sleep 1000', { env })] });
    await until(() => stateOf('secret').includes('CreateContainerConfigError'), 'it waits');
    assert.match(stateOf('secret'), /wants the Secret keys/);
    api.secrets.set('default/keys', {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'keys' },
      data: { a: 'aHVzaA==' },
    });
    await until(() => phase('secret') === 'Running' && logOf(uid, 'main').includes('got hush'), 'it runs');
    assert.equal(JSON.stringify(api.statuses).includes('hush'), false);
  });
});

describe('the node itself', { timeout: 30_000 }, () => {
  test('stops with every process within the bound, and starts its Pods again later', async () => {
    const names = ['a', 'b', 'c'];
    for (const name of names)
      create(name, { containers: [shell('trap "sleep 0.3; exit 0" TERM; while :; do sleep 0.05; done')] });
    await until(() => names.every((name) => phase(name) === 'Running'), 'all run');
    const startedMs = performance.now();
    await node.stop();
    assert.ok(performance.now() - startedMs < 2500, 'they end side by side');
    for (const podUid of uids) assert.deepEqual(await findMembers({ podUid }), []);
    assert.ok(
      names.every((name) => api.pod(name) !== undefined && !isReady(name)),
      'the objects stay',
    );
    node = createNode();
    await node.start();
    await until(() => names.every((name) => containerOf(name)?.restartCount === 1 && isReady(name)), 'all run again');
    assert.match(JSON.stringify(containerOf('a')?.lastState), /NodeRestarted/);
  });

  test('ends what a node that crashed has left, and nothing that only has the same number', async () => {
    await node.stop();
    const uid = crypto.randomUUID();
    uids.push(uid);
    const options = { detached: true, stdio: 'ignore' } as const;
    const marked = spawn('sleep', ['1000'], { ...options, env: { PATH: process.env.PATH, STOKER_POD_UID: uid } });
    const recorded = spawn('sleep', ['1000'], { ...options, env: { PATH: process.env.PATH } });
    const innocent = spawn('sleep', ['1000'], { ...options, env: { PATH: process.env.PATH } });
    const ended = new Set<number | undefined>();
    for (const child of [marked, recorded, innocent]) child.once('exit', () => ended.add(child.pid));
    const record = async (container: string, pid: number | undefined, later: bigint) => {
      const folder = join(podFolder(uid), 'containers', container);
      mkdirSync(folder, { recursive: true });
      const startTicks = `${BigInt(await readStartTicks(pid ?? 0)) + later}`;
      writeFileSync(join(folder, 'leader.json'), JSON.stringify({ pid, startTicks }));
    };
    await record('recorded', recorded.pid, 0n);
    await record('innocent', innocent.pid, 1n);
    node = createNode();
    await node.start();
    await until(() => ended.size === 2, 'both are ended');
    assert.deepEqual(ended, new Set([marked.pid, recorded.pid]));
    await until(() => !existsSync(podFolder(uid)), 'the folder of a Pod that is no more is removed');
    innocent.kill('SIGKILL');
  });

  test('a status that could not be told is told later', async () => {
    create('slow', { containers: [shell('sleep 1000')] });
    await until(() => phase('slow') === 'Running', 'it runs');
    api.isAway = true;
    api.remove('slow');
    const { length } = api.statuses;
    await until(() => api.refusals > 3, 'it was tried several times');
    assert.equal(api.statuses.length, length);
    api.isAway = false;
    await until(() => api.pod('slow') === undefined, 'it is removed');
  });

  test('a loud container keeps two log files of bounded size', async () => {
    const uid = create('loud', {
      containers: [shell('head -c 10000000 /dev/zero | tr "\\0" x; echo end; sleep 1000')],
    });
    await until(
      () =>
        phase('loud') === 'Running' &&
        existsSync(join(podFolder(uid), 'containers/main/output.log')) &&
        logOf(uid, 'main').endsWith('end\n'),
      'it has said all',
    );
    const size = (name: string) => statSync(join(podFolder(uid), 'containers/main', name)).size;
    assert.ok(size('output.log') <= 4 * 1024 * 1024 && size('output.log.1') <= 4 * 1024 * 1024);
  });
});
