import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { applyTable, emptyTable } from '../../../src/core/route/table.ts';
import { createRng } from '../../../src/lib/rng.ts';
import { createEndpointBook } from '../../../src/router/queue/endpoint-book.ts';
import { wholeTable } from '../../support/running-router.ts';

const table = applyTable(emptyTable, wholeTable({ endpoints: [{ address: '127.0.0.1:1' }] }, 1));
const instance = table.endpoints[0]?.instance ?? '';
const nothing = { policy: false, endpoints: false, keys: false };
const news = { nowMs: 0, isNews: true };

function createBook() {
  const book = createEndpointBook(createRng(5));
  return { book, blockedMs: () => book.states(table.endpoints)[0]?.blockedUntilMs ?? Number.NaN };
}

describe('what is known of an endpoint', () => {
  test('Full blocks it shortly, longer each time, and no table lifts that', () => {
    const { book, blockedMs } = createBook();
    let nowMs = 0;
    const blocks = Array.from({ length: 8 }, () => {
      book.refused(instance, 'Full', { ...news, nowMs });
      book.refused(instance, 'Full', { ...news, nowMs });
      const blockMs = blockedMs() - nowMs;
      nowMs = blockedMs();
      return blockMs;
    });
    assert.deepEqual(blocks, [20, 40, 80, 160, 320, 640, 1000, 1000]);
    book.update(table, { policy: true, endpoints: true, keys: true });
    assert.equal(blockedMs(), nowMs);
    book.worked(instance);
    assert.equal(blockedMs(), 0);
    book.refused(instance, 'Full', news);
    assert.equal(blockedMs(), 20);
  });

  test('a newer table lifts what says that the table is behind', () => {
    for (const refusal of ['NotAwake', 'Draining', 'StaleIncarnation'] as const) {
      const { book, blockedMs } = createBook();
      book.refused(instance, refusal, news);
      assert.equal(blockedMs(), 100);
      book.update(table, { ...nothing, keys: true });
      assert.equal(blockedMs(), 100);
      book.update(table, { ...nothing, endpoints: true });
      assert.equal(blockedMs(), 0);
    }
  });

  test('newer keys lift StaleKey, and a refusal about an older table says little', () => {
    const { book, blockedMs } = createBook();
    book.refused(instance, 'StaleKey', news);
    assert.equal(blockedMs(), 5000);
    book.update(table, { ...nothing, endpoints: true });
    assert.equal(blockedMs(), 5000);
    book.update(table, { ...nothing, keys: true });
    assert.equal(blockedMs(), 0);
    book.refused(instance, 'StaleKey', { nowMs: 0, isNews: false });
    assert.ok(blockedMs() <= 40);
  });

  test('failures open its breaker for at most 2 s', () => {
    const { book, blockedMs } = createBook();
    let nowMs = 1000;
    for (let failure = 0; failure < 50; failure += 1) {
      book.failed(instance, nowMs);
      assert.ok(blockedMs() >= nowMs && blockedMs() <= nowMs + 2000);
      nowMs = blockedMs();
    }
  });

  test('what is in flight there is counted after the row is gone', () => {
    const { book } = createBook();
    const inFlight = () => book.states(table.endpoints)[0]?.inFlight;
    const taken = book.take(instance, 0);
    book.update(emptyTable, { ...nothing, endpoints: true });
    assert.equal(inFlight(), 1);
    taken.release();
    book.update(emptyTable, { ...nothing, endpoints: true });
    assert.equal(inFlight(), 0);
  });

  test('a prompt is unread until its first content or its end, and those behind the first one wait', () => {
    const { book } = createBook();
    const unread = () => [book.states(table.endpoints)[0]?.unreadTokens, book.behindTokens(table.endpoints)];
    const [first, second, third] = [900, 30, 0].map((tokens) => book.take(instance, tokens));
    assert.deepEqual(unread(), [930, 30]);
    first?.read();
    assert.deepEqual(unread(), [30, 0]);
    first?.release();
    second?.release();
    third?.release();
    assert.deepEqual(unread(), [0, 0]);
    assert.equal(book.states(table.endpoints)[0]?.inFlight, 0);
  });
});
