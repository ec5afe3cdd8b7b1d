// One plot as SVG text: lines over time with a scale on both sides, readable without colour alone and without any script.
// Draws numbers only; whoever calls it escapes what it puts around.

export interface Line {
  readonly name: string;
  readonly values: readonly number[];
  /** Dashed lines are told apart on paper too. */
  readonly dash?: string;
  /** Drawn as an area from below. */
  readonly isArea?: boolean;
}

export interface Plot {
  readonly title: string;
  readonly unit: string;
  readonly hours: number;
  readonly lines: readonly Line[];
  /** A level to look at, such as the objective. */
  readonly level?: { readonly name: string; readonly value: number };
  /** Values above it are drawn at the top. */
  readonly top?: number;
}

const WIDTH = 900;
const HEIGHT = 190;
const LEFT = 56;
const RIGHT = 12;
const TOP = 10;
const BOTTOM = 24;
const colours = ['#1f6feb', '#d1242f', '#2da44e', '#bf8700', '#8250df', '#6e7781', '#bf3989', '#1b7c83'];

export function renderPlot(plot: Plot): string {
  const most = plot.top ?? Math.max(plot.level?.value ?? 0, ...plot.lines.map(({ values }) => maxOf(values)));
  const ticks = ticksUpTo(most);
  const top = plot.top ?? ticks.at(-1) ?? 1;
  const count = Math.max(...plot.lines.map(({ values }) => values.length));
  const parts = [
    ...renderGrid(plot, { ticks: ticks.filter((tick) => tick <= top), top }),
    ...plot.lines.map((line, index) =>
      renderLine(line, { top, count, colour: colours[index % colours.length] ?? '#000' }),
    ),
    ...(plot.level === undefined ? [] : renderLevel(plot.level, top)),
  ];
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeText(plot.title)}">${parts.join('')}</svg>`;
}

export function renderLegend(lines: readonly Line[]): string {
  const items = lines.map(({ name, dash }, index) => {
    const colour = colours[index % colours.length] ?? '#000';
    const stroke = dash === undefined ? '' : ` stroke-dasharray="${dash}"`;
    const key = `<svg viewBox="0 0 26 8" class="key"><path d="M0 4H26" stroke="${colour}" stroke-width="3"${stroke}/></svg>`;
    return `<span>${key}${escapeText(name)}</span>`;
  });
  return `<p class="legend">${items.join(' ')}</p>`;
}

export function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

const xOf = (share: number) => (LEFT + share * (WIDTH - LEFT - RIGHT)).toFixed(1);
const yOf = (value: number, top: number) =>
  (TOP + (1 - Math.min(1, Math.max(0, value / top))) * (HEIGHT - TOP - BOTTOM)).toFixed(1);

/** `count` is that of the longest line: a run that ends earlier has a shorter one. */
function renderLine(line: Line, { top, count, colour }: { top: number; count: number; colour: string }): string {
  const shareOf = (index: number) => index / Math.max(1, count - 1);
  const points = line.values.map((value, index) => `${xOf(shareOf(index))} ${yOf(value, top)}`);
  const end = xOf(shareOf(line.values.length - 1));
  if (points.length === 0) return '';
  const dash = line.dash === undefined ? '' : ` stroke-dasharray="${line.dash}"`;
  const area = `<path d="M${xOf(0)} ${yOf(0, top)}L${points.join('L')}L${end} ${yOf(0, top)}Z" fill="${colour}" opacity="0.25"/>`;
  const path = `<path d="M${points.join('L')}" fill="none" stroke="${colour}" stroke-width="1.6"${dash}/>`;
  return line.isArea === true ? area + path : path;
}

function renderGrid({ hours }: Plot, { ticks, top }: { ticks: readonly number[]; top: number }): string[] {
  const rows = ticks.map((tick) => {
    const y = yOf(tick, top);
    return `<path d="M${LEFT} ${y}H${WIDTH - RIGHT}" class="grid"/><text x="${LEFT - 6}" y="${y}" class="y">${renderNumber(tick)}</text>`;
  });
  const columns = timeTicks(hours).map((minutes) => {
    const anchor = minutes === 0 ? 'start' : 'middle';
    const x = xOf(minutes / (hours * 60));
    return `<path d="M${x} ${HEIGHT - BOTTOM}v4" class="grid"/><text x="${x}" y="${HEIGHT - 6}" text-anchor="${anchor}">${renderTime(minutes)}</text>`;
  });
  return [...rows, ...columns];
}

const TICKS = 4;

/** From 0, in steps of 1, 2 or 5 times a power of ten, until the value is reached. */
function ticksUpTo(value: number): number[] {
  const least = Math.max(value, 1e-9) / TICKS;
  const power = 10 ** Math.floor(Math.log10(least));
  const factor = [1, 2, 5, 10].find((one) => one * power >= least * 0.999) ?? 10;
  const count = Math.ceil(Math.max(value, 1e-9) / (factor * power) - 1e-6);
  // Whole multiples of a power of ten, without what fractions add.
  return Array.from({ length: count + 1 }, (_, at) => Number((at * factor * power).toPrecision(12)));
}

const TIME_TICKS_MAX = 9;
const timeSteps = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10_080];

/** Minutes that people count in. */
function timeTicks(hours: number): number[] {
  const minutes = hours * 60;
  const step = timeSteps.find((one) => minutes / one < TIME_TICKS_MAX) ?? minutes / TIME_TICKS_MAX;
  return Array.from({ length: Math.floor(minutes / step) + 1 }, (_, at) => at * step);
}

function renderLevel({ name, value }: { name: string; value: number }, top: number): string[] {
  const y = yOf(value, top);
  return [
    `<path d="M${LEFT} ${y}H${WIDTH - RIGHT}" class="level"/>`,
    `<text x="${WIDTH - RIGHT}" y="${(Number(y) - 4).toFixed(1)}" text-anchor="end">${escapeText(name)}</text>`,
  ];
}

function renderTime(minutes: number): string {
  return `${Math.floor(minutes / 60)}:${String(Math.round(minutes % 60)).padStart(2, '0')}`;
}

function renderNumber(value: number): string {
  return value.toLocaleString('en', { maximumSignificantDigits: 6 });
}

function maxOf(values: readonly number[]): number {
  return values.reduce((most, value) => (Number.isFinite(value) ? Math.max(most, value) : most), 0);
}
