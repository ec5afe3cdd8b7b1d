// The administration port of a replica that stands by: it does not say that there is no decision, but who decides.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { request } from 'undici';
import { createStandbyHandler } from '../../../src/controller/admin.ts';
import { createLeaderStart } from '../../../src/controller/leader-start.ts';
import { createManualClock } from '../../../src/lib/clock.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';

let leader: string | undefined;
const clock = createManualClock();
const told: string[] = [];
const start = createLeaderStart({ clock, onLate: (sentence) => void told.push(sentence) });
const server = createServer(
  createStandbyHandler({
    ...{ metrics: createMetrics(), isSynced: () => true },
    starting: start.state,
    leader: () => leader,
  }),
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

test('one that has won the Lease and cannot lead is not ready after a few seconds, and says what it waits for', async () => {
  assert.deepEqual(await answerOf('/readyz'), [200, 'ok: standing by, another replica leads\n']);
  start.begin();
  assert.deepEqual(await answerOf('/readyz'), [200, 'ok: starting to lead\n']);
  const starting = 'This replica holds the Lease and does not lead yet.';
  assert.deepEqual(await answerOf('/explain/scale/demo'), [503, `${starting}\n`]);
  const trouble = 'The seed of the slot keys is not to be had: secrets "stoker-slot-keys" is forbidden';
  start.troubled(trouble);
  assert.deepEqual(told, [], 'a start may take a moment');
  clock.advance(5000);
  for (let attempt = 0; attempt < 3; attempt += 1) start.troubled(trouble);
  assert.deepEqual(told, [`${trouble}.`]);
  const stuck = `${starting} ${trouble}. It is tried again and again.\n`;
  assert.deepEqual(await answerOf('/readyz'), [503, stuck]);
  assert.deepEqual(await answerOf('/explain/scale/demo'), [503, stuck]);
  assert.deepEqual(await answerOf('/healthz'), [200, 'ok\n']);
});
