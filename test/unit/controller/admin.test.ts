// The administration port of a replica that stands by: it does not say that there is no decision, but who decides.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { request } from 'undici';
import { createStandbyHandler } from '../../../src/controller/admin.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';

let leader: string | undefined;
const server = createServer(
  createStandbyHandler({ metrics: createMetrics(), isSynced: () => true, leader: () => leader }),
);
before(() => new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve)));
after(() => server.close());

async function answerOf(path: string): Promise<[number, string]> {
  const { statusCode, body } = await request(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`);
  return [statusCode, await body.text()];
}

test('a replica that stands by names who leads where somebody asks it for a decision', async () => {
  assert.deepEqual(await answerOf('/explain/scale/demo'), [
    503,
    'No controller leads yet that this replica knows of. Ask again in a few seconds.\n',
  ]);
  leader = 'stoker-controller-5d8f-abcde';
  assert.deepEqual(await answerOf('/explain/scale/demo'), [
    503,
    'This replica stands by and decides nothing. stoker-controller-5d8f-abcde holds the Lease and leads: ask that one.\n',
  ]);
  assert.deepEqual(await answerOf('/explain'), [404, 'There is nothing here.\n']);
});
