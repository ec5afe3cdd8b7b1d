// What `helm test` runs in a Pod: asks the router as a caller does, and the API server whether it serves and judges our kinds
// (by dry runs, which make nothing) and whether a controller leads. Where it is told to, it makes a Pool and a Model, waits for
// a streamed answer, and deletes both. Prints one line for each check; exits 1 at the first that fails.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const { ROUTER_URL, TIMEOUT_SECONDS, KEYS_FILE, KUBECONFIG, OBJECTS_FILE } = process.env;
/** Unset: the test may not ask the API server. */
const { KUBE_URL, KUBE_TOKEN_FILE, NAMESPACE } = process.env;
const MODEL = 'helm-test';
const signal = AbortSignal.timeout(Number(TIMEOUT_SECONDS) * 1000);

class CheckFailed extends Error {}

/** The first key of the file: `key`, or `tenant: key`. */
function readKey() {
  const line = readFileSync(KEYS_FILE, 'utf8')
    .split('\n')
    .map((text) => text.trim())
    .find((text) => text !== '' && !text.startsWith('#'));
  if (line === undefined) throw new CheckFailed(`The file ${KEYS_FILE} has no key.`);
  return line.replace(/^[^:\s]*:\s+/, '');
}

async function ask(path, { key, body } = {}) {
  return await fetch(`${ROUTER_URL}${path}`, {
    signal,
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

async function check(name, run) {
  try {
    process.stdout.write(`ok: ${name}${await run()}\n`);
  } catch (error) {
    const late = signal.aborted ? ` It took longer than ${TIMEOUT_SECONDS} s.` : '';
    process.stdout.write(`FAILED: ${name}. ${error.cause?.message ?? error.message}${late}\n`);
    throw new CheckFailed(name);
  }
}

function stoker(...args) {
  const done = spawnSync('stoker', [...args, '--kubeconfig', KUBECONFIG], { encoding: 'utf8' });
  if (done.status !== 0) throw new CheckFailed(`stoker ${args[0]}: ${done.stderr || done.stdout}`);
}

async function expectRefusal() {
  const answer = await ask('/v1/models');
  await answer.body?.cancel();
  if (answer.status !== 401) throw new CheckFailed(`Without a key the router answered ${answer.status}, not 401.`);
  return '';
}

async function expectModels(key) {
  const answer = await ask('/v1/models', { key });
  if (answer.status !== 200) throw new CheckFailed(`The router answered ${answer.status}: ${await answer.text()}`);
  const { data } = await answer.json();
  return `: ${data.length} models`;
}

async function askServer(path, body) {
  const answer = await fetch(`${KUBE_URL}${path}`, {
    signal,
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      authorization: `Bearer ${readFileSync(KUBE_TOKEN_FILE, 'utf8').trim()}`,
      'content-type': 'application/json',
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, text: await answer.text() };
}

/** What the server would say of this object. It makes nothing. */
async function tryObject(kind, plural, spec) {
  const apiVersion = 'stoker.dev/v1alpha1';
  const path = `/apis/${apiVersion}/namespaces/${NAMESPACE}/${plural}?dryRun=All`;
  const { status, text } = await askServer(path, { apiVersion, kind, metadata: { name: MODEL }, spec });
  if (status === 404) throw new CheckFailed(`There is no kind ${kind}: install charts/stoker-crds.`);
  return { status, text };
}

async function expectKinds() {
  const good = await tryObject('Pool', 'pools', { slots: { min: 0, max: 1 } });
  // It is there when the test with a model was cut short.
  if (good.status !== 201 && good.status !== 409) throw new CheckFailed(`A Pool was refused: ${good.text}`);
  const bad = await tryObject('Model', 'models', {});
  if (bad.status !== 422) throw new CheckFailed(`A Model without anything got ${bad.status}, not 422: ${bad.text}`);
  return '';
}

/** By a change that is seen here: clocks of nodes differ. */
async function expectLeader() {
  let first;
  for (;;) {
    const { status, text } = await askServer(
      `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases/stoker-controller`,
    );
    if (status !== 200) throw new CheckFailed(`The Lease stoker-controller: ${status}: ${text}`);
    const { holderIdentity = '', renewTime } = JSON.parse(text).spec ?? {};
    if (first !== undefined && holderIdentity !== '' && renewTime !== first) return `: ${holderIdentity}`;
    first ??= renewTime ?? '';
    await new Promise((resolve) => setTimeout(resolve, 1000));
    signal.throwIfAborted();
  }
}

/** Asks until the new model is in the routing table and has answered; what is held or warming is no failure. */
async function expectStream(key) {
  const body = { model: MODEL, stream: true, max_tokens: 8, messages: [{ role: 'user', content: 'Hello' }] };
  for (;;) {
    const answer = await ask('/v1/chat/completions', { key, body });
    const text = await answer.text();
    if (answer.status === 200) return readStream(text);
    if (answer.status !== 404 && answer.status !== 503) throw new CheckFailed(`${answer.status}: ${text}`);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    signal.throwIfAborted();
  }
}

function readStream(text) {
  const chunks = text.split('\n').filter((line) => line.startsWith('data: {'));
  const contents = chunks.map((line) => JSON.parse(line.slice(6)).choices?.[0]?.delta?.content ?? '');
  if (contents.join('') === '') throw new CheckFailed(`The stream had no content: ${text.slice(-500)}`);
  if (!text.trimEnd().endsWith('data: [DONE]')) throw new CheckFailed(`The stream was cut: ${text.slice(-500)}`);
  return `: ${chunks.length} chunks`;
}

async function checkModel(key) {
  stoker('apply', '-f', OBJECTS_FILE);
  try {
    await check('a model was woken and streamed an answer', () => expectStream(key));
  } finally {
    stoker('delete', 'model', MODEL);
    stoker('delete', 'pool', MODEL);
  }
  process.stdout.write('ok: the test objects are gone\n');
}

try {
  await check('the router refuses callers without a key', expectRefusal);
  const key = readKey();
  await check('the router lists models', () => expectModels(key));
  if (KUBE_URL) {
    await check('the API server serves the kinds, and refuses what is wrong', expectKinds);
    await check('a controller leads', expectLeader);
  }
  if (OBJECTS_FILE) await checkModel(key);
} catch (error) {
  if (!(error instanceof CheckFailed)) throw error;
  if (error.message.startsWith('stoker ')) process.stdout.write(`FAILED: ${error.message}\n`);
  process.exitCode = 1;
}
