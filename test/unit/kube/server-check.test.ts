import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { type KindDefinition, resourceDefinitions } from '../../../src/api/crd.ts';
import type { StructuralSchema } from '../../../src/api/structural-schema.ts';
import { createKubeClient, type KubeClient } from '../../../src/kube/client.ts';
import { checkServer, judgeKinds, judgeVersion } from '../../../src/kube/server-check.ts';
import { createManualClock, systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { type FakeApiServer, failure, startFakeApiServer } from '../../support/fake-api-server.ts';

const definitions = resourceDefinitions();
const version = { major: '1', minor: '30+', gitVersion: 'v1.30.2-gke.1' };

let api: FakeApiServer;
let client: KubeClient;
beforeEach(async () => {
  api = await startFakeApiServer();
  client = createKubeClient(api.connection, systemClock);
});
afterEach(async () => {
  await client.close();
  await api.stop();
});

/** As a server describes kinds. */
function documentOf(kinds: readonly Pick<KindDefinition, 'kind' | 'schema'>[]): object {
  const rows = kinds.map(({ kind, schema }) => [
    `dev.stoker.v1alpha1.${kind}`,
    { ...schema, 'x-kubernetes-group-version-kind': [{ group: 'stoker.dev', version: 'v1alpha1', kind }] },
  ]);
  return { components: { schemas: Object.fromEntries(rows) } };
}

/** The schema without the field at the path. */
function without(schema: StructuralSchema, [step = '', ...rest]: readonly string[]): StructuralSchema {
  if (schema.items !== undefined) return { ...schema, items: without(schema.items, [step, ...rest]) };
  const { [step]: inner, ...others } = schema.properties ?? {};
  const kept = inner === undefined || rest.length === 0 ? {} : { [step]: without(inner, rest) };
  return { ...schema, properties: { ...others, ...kept } };
}

test('versions from 1.30 on are taken, older ones are refused with what to do', () => {
  for (const body of [version, { major: '1', minor: '34' }, { major: '2', minor: '0' }, {}, 'no version', undefined]) {
    assert.equal(judgeVersion(body), undefined);
  }
  assert.equal(
    judgeVersion({ major: '1', minor: '29', gitVersion: 'v1.29.4' }),
    'This is Kubernetes v1.29.4, and 1.30 or newer is needed: upgrade the cluster.',
  );
});

test('kinds that are missing are named; all of them together are enough, and more fields are no harm', () => {
  assert.equal(judgeKinds(documentOf(definitions), definitions), undefined);
  assert.match(judgeKinds({}, definitions) ?? '', /^The cluster does not know Pool, Model, ModelRevision: install/);
  const some = definitions.filter(({ kind }) => kind !== 'Model');
  assert.match(judgeKinds(documentOf(some), definitions) ?? '', /^The cluster does not know Model: install/);
  const more = definitions.map(({ kind, schema }) => ({
    kind,
    schema: { ...schema, properties: { ...schema.properties, later: { type: 'string' } } },
  }));
  assert.equal(judgeKinds(documentOf(more), definitions), undefined);
});

test('a field that is missing is named, wherever it is', () => {
  for (const path of [['status', 'scaleDecision'], ['spec', 'simulation', 'faults', 'kind'], ['status']]) {
    const old = definitions.map(({ kind, schema }) => ({
      kind,
      schema: kind === 'Model' ? without(schema, path) : schema,
    }));
    const sentence = judgeKinds(documentOf(old), definitions) ?? '';
    assert.ok(sentence.includes(`they lack Model.${path.join('.')}: upgrade the chart stoker-crds first`), sentence);
  }
});

test('what appears within the patience is enough; a server that is away is waited for', async () => {
  let asked = 0;
  api.onCall = ({ path }) => {
    asked += 1;
    if (asked < 3) return failure(503, 'ServiceUnavailable', 'not yet');
    if (path === '/version') return { body: version };
    return asked < 6 ? failure(404, 'NotFound', 'no such group') : { body: documentOf(definitions) };
  };
  const clock = createManualClock();
  let isDone = false;
  const checking = checkServer({ client, definitions, clock, log: silentLog }, new AbortController().signal).then(
    () => {
      isDone = true;
    },
  );
  while (!isDone) {
    await new Promise(setImmediate);
    clock.fireNext();
  }
  await checking;
  assert.ok(asked >= 6);
});

test('what does not appear is refused, and a stop ends the wait', async () => {
  api.onCall = ({ path }) => (path === '/version' ? { body: version } : failure(404, 'NotFound', 'no such group'));
  const clock = createManualClock();
  let end: unknown;
  checkServer({ client, definitions, clock, log: silentLog }, new AbortController().signal).catch((error: unknown) => {
    end = error;
  });
  while (end === undefined) {
    await new Promise(setImmediate);
    clock.fireNext();
  }
  assert.match(String(end), /does not know Pool, Model, ModelRevision/);
  const stopping = new AbortController();
  const waiting = checkServer({ client, definitions, clock, log: silentLog }, stopping.signal);
  stopping.abort(new Error('stop'));
  await assert.rejects(waiting, /stop/);
});
