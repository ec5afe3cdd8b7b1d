// Ports, progress, log-probabilities: the small parts below the engines that are not ours.
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import { isWholeSample } from '../../../../src/agent/probe-check.ts';
import { EngineError } from '../../../../src/engine/engine-error.ts';
import { renderLogprob } from '../../../../src/engine/third-party/dialect.ts';
import { createPorts } from '../../../../src/engine/third-party/free-port.ts';
import { createProgressWatch, type ProgressWatch } from '../../../../src/engine/third-party/progress-watch.ts';
import { renderSamplingDefaults } from '../../../../src/engine/third-party/sampling-defaults.ts';
import { createManualClock } from '../../../../src/lib/clock.ts';
import { createRng } from '../../../../src/lib/rng.ts';

describe('ports', () => {
  test('lie below the ranges of system and NodePorts, and none is given twice', async () => {
    const ports = createPorts(createRng(1), async () => true);
    const taken = await Promise.all(Array.from({ length: 200 }, () => ports.take()));
    assert.equal(new Set(taken).size, 200);
    assert.ok(taken.every((port) => port >= 20_000 && port <= 29_999));
  });

  test('a port that somebody listens on is not given', async () => {
    const first = await createPorts(createRng(7)).take();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(first, '127.0.0.1', resolve));
    const second = await createPorts(createRng(7)).take();
    assert.notEqual(second, first);
    await new Promise((resolve) => server.close(resolve));
  });

  test('a port that was given back can be given again; with none free it says so', async () => {
    let isFree = true;
    const ports = createPorts({ next: () => 0, below: () => 5 }, async () => isFree);
    const port = await ports.take();
    await assert.rejects(ports.take(), EngineError);
    ports.giveBack(port);
    assert.equal(await ports.take(), port);
    ports.giveBack(port);
    isFree = false;
    await assert.rejects(ports.take(), /No free port/);
  });
});

describe('the watch over progress', () => {
  test('an engine with work and no step is stuck after its time, and not before', () => {
    const clock = createManualClock();
    const watch = createProgressWatch(clock, 1000);
    assert.equal(watch.look({ busy: 1, steps: 5 }), undefined);
    clock.advance(1000);
    assert.equal(watch.look({ busy: 1, steps: 5 }), undefined);
    clock.advance(1);
    assert.equal(watch.look({ busy: 2, steps: 5 })?.reason, 'EngineStuck');
  });

  const between: readonly [string, (watch: ProgressWatch) => void, number][] = [
    ['a step', (watch) => void watch.look({ busy: 1, steps: 6 }), 6],
    ['an idle look', (watch) => void watch.look({ busy: 0, steps: 5 }), 5],
    ['a sleep', (watch) => watch.reset(), 5],
  ];
  for (const [name, happen, steps] of between) {
    test(`${name} begins the time anew`, () => {
      const clock = createManualClock();
      const watch = createProgressWatch(clock, 1000);
      watch.look({ busy: 1, steps: 5 });
      clock.advance(900);
      happen(watch);
      clock.advance(900);
      assert.equal(watch.look({ busy: 1, steps }), undefined);
    });
  }
});

test('log-probabilities have six digits, are never above 0, and make whole samples', () => {
  assert.deepEqual([-0.5, 0, -0, 1e-9, -1e-9, -12.3456789].map(renderLogprob), [
    '-0.500000',
    '0.000000',
    '0.000000',
    '0.000000',
    '0.000000',
    '-12.345679',
  ]);
  assert.ok(isWholeSample({ tokenIds: [1], logprobs: [renderLogprob(-9999)] }));
});

test('sampling defaults are numbers under the names of generation_config.json', () => {
  assert.equal(renderSamplingDefaults(undefined), undefined);
  assert.equal(renderSamplingDefaults({}), undefined);
  assert.equal(renderSamplingDefaults({ topK: 5, temperature: '0' }), '{"temperature":0,"top_k":5}');
});
