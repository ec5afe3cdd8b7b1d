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
const colours = ['#1f6feb', '#d1242f', '#1a7f37', '#9a6700', '#8250df', '#57606a', '#bf3989', '#0a7ea4'];

export function renderPlot(plot: Plot): string {
  const top =
    plot.top ?? roundUp(Math.max(1e-9, plot.level?.value ?? 0, ...plot.lines.map(({ values }) => maxOf(values))));
  const parts = [
    ...renderGrid(plot, top),
    ...plot.lines.map((line, index) => renderLine(line, { top, colour: colours[index % colours.length] ?? '#000' })),
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

function renderLine(line: Line, { top, colour }: { top: number; colour: string }): string {
  const count = Math.max(1, line.values.length - 1);
  const points = line.values.map((value, index) => `${xOf(index / count)} ${yOf(value, top)}`);
  if (points.length === 0) return '';
  const dash = line.dash === undefined ? '' : ` stroke-dasharray="${line.dash}"`;
  const area = `<path d="M${xOf(0)} ${yOf(0, top)}L${points.join('L')}L${xOf(1)} ${yOf(0, top)}Z" fill="${colour}" opacity="0.25"/>`;
  const path = `<path d="M${points.join('L')}" fill="none" stroke="${colour}" stroke-width="1.6"${dash}/>`;
  return line.isArea === true ? area + path : path;
}

function renderGrid({ hours, unit }: Plot, top: number): string[] {
  const rows = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const y = yOf(share * top, top);
    const text = `${renderNumber(share * top)}${share === 1 ? ` ${unit}` : ''}`;
    return `<path d="M${LEFT} ${y}H${WIDTH - RIGHT}" class="grid"/><text x="${LEFT - 6}" y="${y}" class="y">${escapeText(text)}</text>`;
  });
  const columns = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const anchor = share === 0 ? 'start' : share === 1 ? 'end' : 'middle';
    return `<text x="${xOf(share)}" y="${HEIGHT - 6}" text-anchor="${anchor}">${renderTime(share * hours)}</text>`;
  });
  return [...rows, ...columns];
}

function renderLevel({ name, value }: { name: string; value: number }, top: number): string[] {
  const y = yOf(value, top);
  return [
    `<path d="M${LEFT} ${y}H${WIDTH - RIGHT}" class="level"/>`,
    `<text x="${WIDTH - RIGHT}" y="${(Number(y) - 4).toFixed(1)}" text-anchor="end">${escapeText(name)}</text>`,
  ];
}

function renderTime(hours: number): string {
  const minutes = Math.round(hours * 60);
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}`;
}

function renderNumber(value: number): string {
  return value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(value < 1 ? 2 : 1);
}

function maxOf(values: readonly number[]): number {
  return values.reduce((most, value) => (Number.isFinite(value) ? Math.max(most, value) : most), 0);
}

/** 1, 2, 2.5, 4, 5 or 8 times a power of ten. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 2.5, 4, 5, 8, 10].find((step) => step * power >= value) ?? 10) * power;
}
