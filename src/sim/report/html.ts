// One page about a set of runs: the table, and for each figure over time a plot with all policies. One file that needs no network
// and runs no script. Everything that came from outside is escaped.
import type { TimelineRow } from '../recorder.ts';
import type { Scenario } from '../scenario.ts';
import { type RunResult, rankOf } from '../summary.ts';
import { failureNotes, figureHeader, figureNotes, figureRow } from './figures.ts';
import { escapeText, type Line, type Plot, renderLegend, renderPlot } from './plot.ts';

export interface Report {
  readonly scenario: Scenario;
  readonly results: readonly RunResult[];
  /** What people should know before they read on. */
  readonly notes: readonly string[];
}

const dashes = [undefined, '7 3', '2 2', '9 3 2 3', '4 4', '1 3', '12 4', '3 1'];
/** Waits above so many times the objective are drawn at the top. */
const WAIT_TOP_FACTOR = 3;

export function renderReport({ scenario, results, notes }: Report): string {
  const objectiveMs = scenario.models[0]?.firstTokenMsMax ?? 0;
  const title = `Simulation of ${scenario.trace.name}`;
  const linesOf = (figure: (row: TimelineRow) => number): Line[] =>
    results.map(({ policy, timeline }, index) => {
      const dash = dashes[index % dashes.length];
      return { name: policy, values: timeline.map(figure), ...(dash === undefined ? {} : { dash }) };
    });
  const hours = Math.max(0, ...results.map(({ spanHours }) => spanHours));
  const wait = (row: TimelineRow) =>
    rankOf(
      [...row.waitsMs].sort((a, b) => a - b),
      0.95,
    ) / 1000;
  const plots: Plot[] = [
    demandPlot(results, hours),
    { title: 'Awake', unit: 'replicas', hours, lines: linesOf(({ awake }) => awake) },
    { title: 'Asleep, ready to wake', unit: 'instances', hours, lines: linesOf(({ asleep }) => asleep) },
    {
      title: 'Wait for the first token, 95th of 100 requests',
      unit: 'seconds',
      hours,
      lines: linesOf(wait),
      level: { name: 'objective', value: objectiveMs / 1000 },
      top: (WAIT_TOP_FACTOR * objectiveMs) / 1000,
    },
    { title: 'Requests that missed the objective', unit: 'requests', hours, lines: linesOf(({ missed }) => missed) },
    { title: 'Longest queue', unit: 'requests', hours, lines: linesOf(({ queuedMax }) => queuedMax) },
  ];
  return page(title, [
    `<h1>${escapeText(title)}</h1>`,
    `<p>${escapeText(describe(scenario))}</p>`,
    ...notes.map((note) => `<p class="note">${escapeText(note)}</p>`),
    renderTable(results),
    ...[...figureNotes, ...failureNotes(results, scenario.faults)].map(
      (note) => `<p class="small">${escapeText(note)}</p>`,
    ),
    ...plots.map(renderSection),
  ]);
}

function renderSection(plot: Plot): string {
  const most = plot.top === undefined ? '' : ` What is above ${plot.top} ${plot.unit} is drawn at the top.`;
  const heading = `<h2>${escapeText(plot.title)} <small>${escapeText(plot.unit)}, over hours:minutes.${escapeText(most)}</small></h2>`;
  return `${heading}${renderPlot(plot)}${renderLegend(plot.lines)}`;
}

/** The same for every policy: what came. */
function demandPlot(results: readonly RunResult[], hours: number): Plot {
  const timeline = results[0]?.timeline ?? [];
  const stepSeconds = ((timeline[1]?.atMs ?? 1000) - (timeline[0]?.atMs ?? 0)) / 1000;
  const values = timeline.map(({ arrivals }) => arrivals / stepSeconds);
  return { title: 'Demand', unit: 'requests/s', hours, lines: [{ name: 'arrivals', values, isArea: true }] };
}

function describe({ trace, models, fleet }: Scenario): string {
  const model = models[0];
  const seconds = (ms: number) => `${ms / 1000} s`;
  const climbs =
    model === undefined
      ? ''
      : `A wake takes ${seconds(model.profile.climb.wakeMs)}, a start ${seconds(model.profile.climb.startMs)}. `;
  const sleepers = fleet.begin === 'Nothing' ? 'Nothing is asleep at the beginning. ' : '';
  return (
    `${trace.requests.length} requests, ${models.length} ${models.length === 1 ? 'model' : 'models'}, ${fleet.slots} slots. ` +
    `The first token is due within ${seconds(model?.firstTokenMsMax ?? 0)}. ${climbs}${sleepers}` +
    'Times of engines are simulated; the decisions of the policy stoker are those of the controller.'
  );
}

function renderTable(results: readonly RunResult[]): string {
  const cells = (row: readonly string[], tag: string) =>
    row.map((cell) => `<${tag}>${escapeText(cell)}</${tag}>`).join('');
  const rows = results.map((result) => `<tr>${cells(figureRow(result), 'td')}</tr>`);
  return `<div class="wide"><table><thead><tr>${cells(figureHeader, 'th')}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
}

const style = `
:root{color-scheme:light dark;--text:#1f2328;--page:#fff;--quiet:#57606a;--rule:#d0d7de;--note:#fff8c5}
@media (prefers-color-scheme:dark){:root{--text:#e6edf3;--page:#0d1117;--quiet:#9198a1;--rule:#3d444d;--note:#3b2f00}}
body{font:15px/1.5 system-ui,sans-serif;max-width:960px;margin:2rem auto;padding:0 1rem;color:var(--text);background:var(--page)}
h1{font-size:1.5rem}h2{font-size:1.05rem;margin:1.6rem 0 .2rem}h2 small{font-weight:400;font-size:.8rem;color:var(--quiet)}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.8rem;width:100%}
th,td{text-align:right;padding:.25rem .4rem;border-bottom:1px solid var(--rule);white-space:nowrap}
th:first-child,td:first-child{text-align:left}
svg{width:100%;height:auto;display:block}svg text{font-size:11px;fill:var(--quiet)}svg .y{text-anchor:end;dominant-baseline:middle}
.grid{stroke:var(--rule);stroke-width:1}.level{stroke:var(--text);stroke-width:1;stroke-dasharray:2 3}
.legend{margin:.1rem 0;font-size:.8rem}.legend span{margin-right:1rem;white-space:nowrap}
.key{display:inline-block;width:26px;height:8px;margin-right:.35rem;vertical-align:middle}
.small{color:var(--quiet);font-size:.8rem;margin:.2rem 0}.note{background:var(--note);padding:.5rem .7rem;border-radius:6px}
`;

function page(title: string, body: readonly string[]): string {
  const head = `<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escapeText(title)}</title>`;
  return `<!doctype html>\n<html lang="en"><head>${head}<style>${style}</style></head><body>\n${body.join('\n')}\n</body></html>\n`;
}
