import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../src/lib/clock.ts';
import { createMetrics, metricTable } from '../../../src/telemetry/metrics.ts';

test('every row is rendered with its name, help and kind', async () => {
  const text = await createMetrics().render();
  for (const row of Object.values(metricTable)) {
    assert.match(text, new RegExp(`^# TYPE ${row.name} ${row.kind}$`, 'm'));
    assert.ok(text.includes(`# HELP ${row.name} ${row.help}`));
  }
});

test('names, labels and buckets follow the house rules', () => {
  const names = Object.values(metricTable).map((row) => row.name);
  assert.equal(new Set(names).size, names.length);
  for (const row of Object.values(metricTable)) {
    assert.match(row.name, /^stoker_[a-z0-9_]+$/);
    assert.equal(
      row.kind === 'counter',
      row.name.endsWith('_total'),
      `${row.name}: counters, and only they, end in _total`,
    );
    assert.match(row.help, /^[A-Z].*\.$/);
    assert.equal('tenant' in row.labels, false, 'tenants are never a label');
    const buckets: readonly number[] = 'buckets' in row ? row.buckets : [];
    assert.deepEqual(
      [...buckets].sort((a, b) => a - b),
      buckets,
    );
  }
});

test('counters add, gauges are set, histograms count into buckets', async () => {
  const metrics = createMetrics();
  metrics.count('tokens', { model: 'm', direction: 'prompt' }, 5);
  metrics.count('tokens', { model: 'm', direction: 'prompt' });
  metrics.set('queued', { model: 'm' }, 7);
  metrics.set('queued', { model: 'm' }, 3);
  metrics.observe('queueSeconds', { model: 'm' }, 0.03);
  const text = await metrics.render();
  assert.match(text, /^stoker_tokens_total\{model="m",direction="prompt"\} 6$/m);
  assert.match(text, /^stoker_queued_requests\{model="m"\} 3$/m);
  assert.match(text, /^stoker_queue_seconds_bucket\{le="0\.025",model="m"\} 0$/m);
  assert.match(text, /^stoker_queue_seconds_bucket\{le="0\.05",model="m"\} 1$/m);
  assert.match(text, /^stoker_queue_seconds_count\{model="m"\} 1$/m);
  assert.match(metrics.contentType, /^text\/plain/);
});

test('a forgotten series is gone, and no other one', async () => {
  const metrics = createMetrics();
  metrics.set('inFlight', { model: 'kept' }, 1);
  metrics.set('inFlight', { model: 'gone' }, 1);
  metrics.forget('inFlight', { model: 'gone' });
  const text = await metrics.render();
  assert.match(text, /stoker_in_flight_requests\{model="kept"\} 1/);
  assert.doesNotMatch(text, /gone/);
});

test('two parts in one process share nothing', async () => {
  const [one, other] = [createMetrics(), createMetrics()];
  one.set('queued', { model: 'm' }, 1);
  assert.doesNotMatch(await other.render(), /model="m"/);
});

test('timers, sockets and children of the process are counted when they are asked for', async () => {
  const metrics = createMetrics();
  const timersIn = (text: string) => Number(/stoker_process_resources\{kind="timer"\} (\d+)/.exec(text)?.[1]);
  const before = timersIn(await metrics.render());
  const timers = [systemClock.after(60_000, () => {}), systemClock.after(60_000, () => {})];
  assert.equal(timersIn(await metrics.render()), before + 2);
  for (const timer of timers) timer.cancel();
  assert.equal(timersIn(await metrics.render()), before);
});
