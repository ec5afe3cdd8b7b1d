// Lines of the Prometheus text format 0.0.4, written by hand: a model server process must start fast and has no labels to
// speak of. Pure.
import type { Counter, Histogram } from './llama/metrics.ts';

export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Functions that each give the whole text of one figure, whose name begins with `prefix`. */
export function createMetricLines(prefix: string) {
  const head = (name: string, help: string, kind: 'gauge' | 'counter' | 'histogram') =>
    `# HELP ${prefix}${name} ${help}\n# TYPE ${prefix}${name} ${kind}\n`;
  return {
    gauge: (name: string, help: string, value: number) => `${head(name, help, 'gauge')}${prefix}${name} ${value}\n`,
    counter: (name: string, help: string, figure: Counter) =>
      `${head(name, help, 'counter')}${prefix}${name} ${figure.value}\n`,
    histogram(name: string, help: string, figure: Histogram) {
      const buckets = figure.cumulative.map(([bound, count]) => `${prefix}${name}_bucket{le="${bound}"} ${count}\n`);
      const ends = `${prefix}${name}_sum ${figure.sum}\n${prefix}${name}_count ${figure.count}\n`;
      return `${head(name, help, 'histogram')}${buckets.join('')}${ends}`;
    },
    /** One row of each value: 1 for the chosen one, else 0. The label has the figure's name. */
    choice(name: string, help: string, { values, chosen }: { values: readonly string[]; chosen: string }) {
      const rows = values.map((value) => `${prefix}${name}{${name}="${value}"} ${value === chosen ? 1 : 0}\n`);
      return `${head(name, help, 'gauge')}${rows.join('')}`;
    },
  };
}
