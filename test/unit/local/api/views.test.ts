import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiObject, ResourceDefinition } from '../../../../src/local/api/definition.ts';
import { renderAge, renderDuration } from '../../../../src/local/api/human-duration.ts';
import { parseJsonPath, plainPath, readJsonPath } from '../../../../src/local/api/json-path.ts';
import { podDefinition } from '../../../../src/local/api/kinds/pod.ts';
import { chooseRepresentation } from '../../../../src/local/api/media-type.ts';
import { parseResourcePath } from '../../../../src/local/api/request-path.ts';
import { ApiError } from '../../../../src/local/api/status-error.ts';
import { createTableRenderer } from '../../../../src/local/api/table.ts';
import { localDefinitions } from '../../../../src/main/local-definitions.ts';

const SECOND_MS = 1000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

test('durations are as kubectl shows them', () => {
  const rows: [number, string][] = [
    [0, '0s'],
    [119 * SECOND_MS, '119s'],
    [2 * MINUTE_MS, '2m'],
    [3 * MINUTE_MS + 12 * SECOND_MS, '3m12s'],
    [10 * MINUTE_MS + 30 * SECOND_MS, '10m'],
    [3 * HOUR_MS + 5 * MINUTE_MS, '3h5m'],
    [9 * HOUR_MS + 5 * MINUTE_MS, '9h'],
    [47 * HOUR_MS, '47h'],
    [2 * DAY_MS + 4 * HOUR_MS, '2d4h'],
    [9 * DAY_MS + 4 * HOUR_MS, '9d'],
    [3 * 365 * DAY_MS, '3y'],
    [-500, '0s'],
    [-5000, '<invalid>'],
  ];
  for (const [spanMs, shown] of rows) assert.equal(renderDuration(spanMs), shown);
  assert.equal(renderAge('2026-01-01T00:00:00Z', Date.UTC(2026, 0, 1, 0, 0, 5)), '5s');
  assert.equal(renderAge('yesterday', 0), undefined);
  assert.equal(renderAge(5, 0), undefined);
});

test('the JSONPath of columns: members, lists, conditions', () => {
  const object = {
    spec: { list: [{ n: 1 }, { n: 2 }], 'a.b': 'dotted' },
    status: {
      conditions: [
        { type: 'Other', status: 'False' },
        { type: 'Ready', status: 'True' },
      ],
    },
  };
  const read = (path: string) => readJsonPath(parseJsonPath(path), object);
  assert.deepEqual(read('.spec.list[0].n'), [1]);
  assert.deepEqual(read('.spec.list[-1].n'), [2]);
  assert.deepEqual(read('.spec.list[*].n'), [1, 2]);
  assert.deepEqual(read('{.spec.a\\.b}'), ['dotted']);
  assert.deepEqual(read(".spec['a.b']"), ['dotted']);
  assert.deepEqual(read('.status.conditions[?(@.type=="Ready")].status'), ['True']);
  assert.deepEqual(read('.nothing.here[3].x'), []);
  assert.deepEqual(read('.constructor'), []);
  assert.throws(() => parseJsonPath('.a[b'));
  assert.deepEqual(plainPath('.spec.scaling.minAwake'), ['spec', 'scaling', 'minAwake']);
  assert.throws(() => plainPath('.a[0]'));
});

test('the columns of all our kinds can be read', () => {
  const metadata = { name: 'a', uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };
  for (const definition of localDefinitions()) {
    const table = createTableRenderer(definition);
    const object: ApiObject = { apiVersion: 'v1', kind: definition.kind, metadata };
    const options = { nowMs: Date.UTC(2026, 0, 1, 0, 1), include: 'None', metadata: {}, withColumns: true } as const;
    const rendered = table.render([object], options) as { rows: { cells: unknown[] }[]; columnDefinitions: unknown[] };
    assert.equal(rendered.rows[0]?.cells.length, rendered.columnDefinitions.length);
    assert.equal(rendered.rows[0]?.cells.at(-1), '60s');
  }
});

const podCells = (changes: object): unknown[] => {
  const metadata = { name: 'a', uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };
  const pod: ApiObject = { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [{}, {}] }, ...changes };
  const options = { nowMs: Date.UTC(2026, 0, 1, 0, 1), include: 'None', metadata: {}, withColumns: true } as const;
  const table = createTableRenderer(podDefinition).render([pod], options) as { rows: { cells: unknown[] }[] };
  return table.rows[0]?.cells.slice(1, 4) ?? [];
};

test('a Pod in one word, its ready containers and its restarts', () => {
  assert.deepEqual(podCells({ status: { phase: 'Pending' } }), ['0/2', 'Pending', '0']);
  const waiting = { state: { waiting: { reason: 'CrashLoopBackOff' } }, restartCount: 2 };
  const ended = { ready: true, restartCount: 1, lastState: { terminated: { finishedAt: '2026-01-01T00:00:30Z' } } };
  assert.deepEqual(podCells({ status: { phase: 'Running', containerStatuses: [waiting, ended] } }), [
    '1/2',
    'CrashLoopBackOff',
    '3 (30s ago)',
  ]);
  const metadata = { name: 'a', creationTimestamp: '2026-01-01T00:00:00Z', deletionTimestamp: '2026-01-01T00:00:30Z' };
  assert.equal(podCells({ metadata })[1], 'Terminating');
});

test('which representation a client gets', () => {
  const table = 'application/json;as=Table;v=v1;g=meta.k8s.io';
  const rows: [string | undefined, string][] = [
    [undefined, 'Json'],
    ['*/*', 'Json'],
    ['application/json', 'Json'],
    [`${table},application/json`, 'Table'],
    ['application/json;as=Table;v=v1beta1;g=meta.k8s.io, application/json', 'Json'],
    ['application/vnd.kubernetes.protobuf,application/json', 'Json'],
    [`application/vnd.kubernetes.protobuf;as=Table, ${table}`, 'Table'],
  ];
  for (const [accept, expected] of rows) assert.equal(chooseRepresentation(accept, true), expected, accept);
  assert.throws(() => chooseRepresentation('text/html', true), ApiError);
  assert.throws(() => chooseRepresentation(table, false), ApiError);
});

test('paths of resources', () => {
  const read = (path: string) => {
    const found = parseResourcePath(path);
    return found && [found.group, found.version, found.namespace, found.plural, found.name, found.subresource];
  };
  assert.deepEqual(read('/api/v1/pods'), ['', 'v1', undefined, 'pods', undefined, undefined]);
  assert.deepEqual(read('/api/v1/namespaces/n/pods/p/status'), ['', 'v1', 'n', 'pods', 'p', 'status']);
  assert.deepEqual(read('/api/v1/namespaces/n'), ['', 'v1', undefined, 'namespaces', 'n', undefined]);
  assert.deepEqual(read('/api/v1/namespaces/n/status'), ['', 'v1', undefined, 'namespaces', 'n', 'status']);
  assert.deepEqual(read('/apis/g.dev/v1/namespaces/n/things'), ['g.dev', 'v1', 'n', 'things', undefined, undefined]);
  for (const other of ['/', '/api', '/api/v1', '/apis/g/v1', '/other/v1/pods', '/api/v1/pods/', '/api/v1/pods/a/b/c'])
    assert.equal(read(other), undefined, other);
  assert.throws(() => read('/api/v1/pods/%zz'), URIError);
});

test('kinds of one group and plural cannot be served together', async () => {
  const { createKindRegistry } = await import('../../../../src/local/api/kind-registry.ts');
  const twice: readonly ResourceDefinition[] = [podDefinition, podDefinition];
  assert.throws(() => createKindRegistry(twice), /same group and plural/);
});
