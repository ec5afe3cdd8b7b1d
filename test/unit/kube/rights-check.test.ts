import assert from 'node:assert/strict';
import { test } from 'node:test';
import { controllerRules, renderAccesses } from '../../../src/api/controller-rights.ts';
import { findMissingRights } from '../../../src/kube/rights-check.ts';
import type { KubeCall } from '../../../src/kube/transport.ts';

const never = new AbortController().signal;
const review = { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] };

interface Server {
  readonly rules: readonly object[];
  /** What the second question is answered with. */
  readonly allowed?: boolean;
  readonly status?: number;
}

function serverOf({ rules, allowed = false, status = 201 }: Server) {
  const calls: KubeCall[] = [];
  const client = {
    send: async (call: KubeCall) => {
      calls.push(call);
      const body = call.path.endsWith('selfsubjectrulesreviews')
        ? { status: { resourceRules: rules, incomplete: false } }
        : { status: { allowed } };
      return { status, body, warnings: [] };
    },
  };
  const ask = async () => {
    const missing = await findMissingRights({ client, namespace: 'llm' }, never);
    return missing === undefined ? undefined : renderAccesses(missing);
  };
  return { ask, calls };
}

test('all rights are there: one question', async () => {
  const { ask, calls } = serverOf({ rules: [...controllerRules, review] });
  assert.equal(await ask(), '');
  assert.equal(calls.length, 1);
  assert.deepEqual(calls[0]?.body, {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectRulesReview',
    spec: { namespace: 'llm' },
  });
});

test('whoever may do everything lacks nothing', async () => {
  const { ask } = serverOf({ rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }] });
  assert.equal(await ask(), '');
});

test('a verb, a subresource and a name that are missing are named, and asked for once more each', async () => {
  const fewer = controllerRules.flatMap((rule) => {
    if (rule.resources.includes('pools/status'))
      return [{ ...rule, resources: ['models/status', 'modelrevisions/status'] }];
    if (rule.resourceNames?.includes('stoker-slot-keys') === true) return [{ ...rule, resourceNames: ['another'] }];
    return rule.resources.includes('pods') ? [{ ...rule, verbs: ['get', 'list', 'watch', 'patch', 'delete'] }] : [rule];
  });
  const { ask, calls } = serverOf({ rules: [...fewer, review] });
  const missing =
    'patch pools/status.stoker.dev, create pods, get secrets stoker-slot-keys, patch secrets stoker-slot-keys';
  assert.equal(await ask(), missing);
  assert.equal(calls.length, 5);
  const asked = calls.slice(1).map(({ body }) => (body as { spec: object }).spec);
  const attributes = { group: 'stoker.dev', resource: 'pools', subresource: 'status', verb: 'patch', namespace: 'llm' };
  assert.deepEqual(asked[0], { resourceAttributes: attributes });
});

test('what an authorizer cannot list is believed when it is asked', async () => {
  const { ask } = serverOf({ rules: [], allowed: true });
  assert.equal(await ask(), '');
});

test('a server that has no reviews, or does not answer, says nothing', async () => {
  assert.equal(await serverOf({ rules: [], status: 404 }).ask(), undefined);
  const client = { send: () => Promise.reject(new Error('away')) };
  assert.equal(await findMissingRights({ client, namespace: 'llm' }, never), undefined);
});

test('a long list is cut, and counted', () => {
  const accesses = Array.from({ length: 9 }, (_, at) => ({ group: '', resource: `r${at}`, verb: 'get' }));
  assert.match(renderAccesses(accesses), /get r5 and 3 more$/);
});
