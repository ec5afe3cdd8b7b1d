import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogFields } from '../../../src/lib/log.ts';
import { allowedFields, createLog, type LogLevel } from '../../../src/telemetry/log.ts';

function recordingLog(level: LogLevel) {
  const lines: Record<string, unknown>[] = [];
  const log = createLog('router', level, (line) => lines.push(JSON.parse(line)));
  return { log, lines };
}

test('a line says when, who, how bad, what and the figures', () => {
  const { log, lines } = recordingLog('info');
  log.info({ model: 'small', queued: 3, isCold: true, etaMs: null }, 'a request is held');
  const [line] = lines;
  assert.match(String(line?.time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  const { time: _time, level: _level, ...rest } = line ?? {};
  assert.deepEqual(rest, {
    component: 'router',
    model: 'small',
    queued: 3,
    isCold: true,
    etaMs: null,
    msg: 'a request is held',
  });
});

test('lines below the level are not written', () => {
  const levels: [LogLevel, number][] = [
    ['debug', 4],
    ['info', 3],
    ['warn', 2],
    ['error', 1],
    ['silent', 0],
  ];
  for (const [level, count] of levels) {
    const { log, lines } = recordingLog(level);
    for (const each of ['debug', 'info', 'warn', 'error'] as const) log[each]({}, each);
    assert.equal(lines.length, count, level);
  }
});

test('fields that sound like secrets or content are dropped, whatever their case', () => {
  const names = [
    'authorization',
    'linkToken',
    'API_KEY',
    'apiKey',
    'password',
    'clientSecret',
    'set-cookie',
    'prompt',
    'content',
    'messages',
    'requestBody',
  ];
  const { log, lines } = recordingLog('debug');
  for (const name of names) log.error({ [name]: 'hunter2', kept: name }, 'a line');
  assert.equal(lines.length, names.length);
  assert.doesNotMatch(JSON.stringify(lines), /hunter2/);
  assert.deepEqual(
    lines.map((line) => line.kept),
    names,
  );
});

test('objects never pass, even from a caller that ignores the types, and long texts are cut', () => {
  const fields = {
    nested: { apiKey: 'hunter2' },
    list: ['hunter2'],
    call: () => 'hunter2',
    gone: undefined,
    long: 'x'.repeat(5000),
  };
  const kept = allowedFields(fields as unknown as LogFields);
  assert.deepEqual(kept, { long: 'x'.repeat(2000) });
});
