// A test that waits for ever with something to take down. Run by test/unit/scaffold/interruption.test.ts with a file name.
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { delay, systemClock } from '../../../src/lib/clock.ts';
import { stopWhenInterrupted } from './interruption.ts';

test('waits', async () => {
  const file = process.env.STOKER_TEST_FILE ?? '';
  stopWhenInterrupted(async () => {
    await delay(systemClock, 100);
    writeFileSync(file, 'taken down');
  });
  writeFileSync(file, `pid ${process.pid}`);
  await delay(systemClock, 60_000);
});
