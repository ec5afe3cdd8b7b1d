// The cluster contract, held by the embedded API server, and what a server that is new cannot be asked: it forgets nothing.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startEmbeddedApi } from '../support/embedded-api.ts';
import { clusterContract } from './cluster-contract.ts';
import { ConfigMap, Session } from './session.ts';

async function connect() {
  const api = await startEmbeddedApi();
  return { connection: api.connectionOf('controller'), namespace: 'default', close: () => api.close() };
}

clusterContract('the embedded API server', connect);

const session = new Session();
before(() => session.open(connect));
after(() => session.close());

test('a version that is forgotten is 410 Expired, as an answer or as the first event', async () => {
  const answer = await session.send('GET', `${session.path(ConfigMap)}?watch=true&timeoutSeconds=1&resourceVersion=1`);
  const status = answer.status === 200 ? answer.body.object : answer.body;
  if (answer.status === 200) assert.equal(answer.body.type, 'ERROR');
  assert.equal(status.code, 410);
  assert.equal(status.reason, 'Expired');
  assert.match(status.message, /too old resource version/);
});
