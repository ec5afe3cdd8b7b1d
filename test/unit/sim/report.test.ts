// What people and programs are given of runs: a table, JSON without infinities, and a page that needs no network and runs nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { staticPolicy } from '../../../src/sim/policy/static.ts';
import { stokerPolicy } from '../../../src/sim/policy/stoker.ts';
import { figureDocument, figureHeader, figureRow } from '../../../src/sim/report/figures.ts';
import { renderReport } from '../../../src/sim/report/html.ts';
import { createScenario } from '../../../src/sim/setup.ts';
import { type RunResult, rankOf } from '../../../src/sim/summary.ts';
import { simRun, simSetup, simTrace } from '../../support/simulation.ts';

const scenario = createScenario(
  {
    ...simTrace([
      [0, 100, 5],
      [60_000, 100, 5],
    ]),
    name: '<img src=x onerror="alert(1)">.csv',
  },
  simSetup(),
);
const results = [await simRun(scenario, stokerPolicy()), await simRun(scenario, staticPolicy(1))];

test('the page has every plot for every policy, and loads and runs nothing', () => {
  const page = renderReport({ scenario, results, notes: ['a <note>'] });
  assert.equal(page.match(/<h2>[^<]+<small>[^<]+<\/small><\/h2>/g)?.length, 6);
  assert.equal(page.match(/role="img"/g)?.length, 6);
  for (const forbidden of [
    /<script/i,
    /<link/i,
    /<img/i,
    /\bsrc\s*=\s*["']?https?:/i,
    /url\(/i,
    /https?:\/\//i,
    /\son\w+="/i,
  ])
    assert.doesNotMatch(page, forbidden);
  assert.match(page, /&#60;img src=x onerror=&#34;alert\(1\)&#34;&#62;\.csv/);
  assert.match(page, /a &#60;note&#62;/);
  assert.match(page, /<td>static-1<\/td>/);
  assert.doesNotMatch(page, /NaN|Infinity|undefined/);
});

test('the last step of a run is a mean over what there was of it', () => {
  const { timeline } = results[1] ?? {};
  assert.ok(timeline !== undefined && timeline.length > 2);
  for (const { awake } of timeline) assert.ok(Math.abs(awake - 1) < 1e-6, `${awake} awake of 1`);
});

test('a row has a cell for each column', () => {
  for (const result of results) assert.equal(figureRow(result).length, figureHeader.length);
});

test('what was never served is "never" for people and null for programs', () => {
  const [first] = results;
  assert.ok(first !== undefined);
  const never: RunResult = { ...first, firstTokenMs: { p50: 10, p95: 20_000, p99: Number.POSITIVE_INFINITY } };
  assert.deepEqual(figureRow(never).slice(2, 5), ['0.01 s', '20.0 s', 'never']);
  const document: unknown = JSON.parse(JSON.stringify(figureDocument(never)));
  assert.deepEqual((document as { firstTokenMs: unknown }).firstTokenMs, { p50: 10, p95: 20_000, p99: null });
});

test('ranks of sorted lists', () => {
  assert.equal(rankOf([], 0.5), 0);
  assert.equal(rankOf([1, 2, 3, 4], 0.5), 3);
  assert.equal(rankOf([1, 2, 3, 4], 1), 4);
});
