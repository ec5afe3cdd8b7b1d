// Axes that people can read: round numbers, round times, and nothing beyond the edges.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { renderPlot } from '../../../../src/sim/report/plot.ts';

const plot = (values: readonly number[], more: object = {}) =>
  renderPlot({ title: 'A', unit: 'requests', hours: 1, lines: [{ name: 'a', values }], ...more });
const labels = (svg: string, kind: RegExp) => [...svg.matchAll(kind)].map(([, text = '']) => text);
const levels = (svg: string) => labels(svg, /class="y">([^<]*)</g);
const times = (svg: string) => labels(svg, /text-anchor="(?:start|middle)">(\d+:\d\d)</g);

describe('the axes of a plot', () => {
  test('count in ones, twos and fives, from nothing to above the most', () => {
    assert.deepEqual(levels(plot([0, 36, 3])), ['0', '10', '20', '30', '40']);
    assert.deepEqual(levels(plot([0.07])), ['0', '0.02', '0.04', '0.06', '0.08']);
    assert.deepEqual(levels(plot([4321])), ['0', '2,000', '4,000', '6,000']);
    assert.deepEqual(levels(plot([100], { top: 15 })), ['0', '5', '10', '15']);
    assert.equal(levels(plot([])).at(0), '0');
  });

  test('say minutes that people count in', () => {
    assert.deepEqual(times(plot([1], { hours: 58 / 60 })), ['0:00', '0:10', '0:20', '0:30', '0:40', '0:50']);
    assert.deepEqual(times(plot([1], { hours: 24 })).slice(0, 3), ['0:00', '3:00', '6:00']);
    assert.ok(times(plot([1], { hours: 336 })).length <= 9);
  });

  test('have room for every value, and few marks', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: 1e9, noNaN: true }), (value) => {
        const marks = levels(plot([value])).map((text) => Number(text.replaceAll(',', '')));
        return (marks.at(-1) ?? 0) >= value * 0.999 && marks.length >= 3 && marks.length <= 6;
      }),
    );
  });
});
