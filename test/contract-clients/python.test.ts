// Runs the tests of the official Python client against a whole Stoker, and looks at what they leave behind there.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { delay, systemClock } from '../../src/lib/clock.ts';
import { root } from '../support/running-stoker.ts';
import { API_KEY, REAL_MODEL, type ServedFleet, startServedFleet } from './served-fleet.ts';

const run = promisify(execFile);
const TESTS_MIN = 15;

describe('the official Python client', { timeout: 240_000 }, () => {
  let fleet: ServedFleet;
  let python: string;
  before(async () => {
    // Prints the path of a Python with the client; the first time it installs it.
    python = (await run(join(root, 'scripts/ensure-openai-python.sh'))).stdout.trim();
    fleet = await startServedFleet();
  });
  after(() => fleet.stop());

  test('finds what it expects', async () => {
    const { stderr } = await run(python, [join(root, 'test/contract-clients/python/test_contract.py')], {
      env: {
        PATH: process.env.PATH,
        STOKER_BASE_URL: fleet.baseUrl,
        STOKER_KEY: API_KEY,
        STOKER_REAL_MODEL: REAL_MODEL,
      },
      timeout: 120_000,
    });
    const ran = Number(/^Ran (\d+) tests/m.exec(stderr)?.[1]);
    assert.ok(ran >= TESTS_MIN, `only ${ran} tests ran: ${stderr}`);
    assert.match(stderr, /^OK$/m);
    process.stdout.write(`${ran} tests of the Python client\n`);
  });

  test('leaves no engine at work, though it went away twice', async () => {
    while ((await fleet.countInFlight('sim-slow')) > 0) await delay(systemClock, 20);
    const [gone, late] = await Promise.all(
      ['client_gone', 'deadline_exceeded'].map((outcome) => fleet.countOutcomes('sim-slow', outcome)),
    );
    assert.equal((gone ?? 0) + (late ?? 0), 2);
    assert.equal(await fleet.countOutcomes('cold-python', 'model_warming'), 1);
  });
});
