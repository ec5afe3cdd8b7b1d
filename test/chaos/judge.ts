// Holds what callers saw against what the router says: one outcome for each request, told truthfully, with the text of an
// undamaged model, in time. Pure; returns sentences about what is wrong, none when all is well.
import type { CallEnd } from './chat-call.ts';
import type { RequestLine } from './router-log.ts';

export interface JudgedCall {
  readonly end: CallEnd;
  /** The text of the whole answer, as an undamaged model gives it. */
  readonly expected: string;
  readonly deadlineMs: number;
  /** A caller that dawdles is late by his own doing. */
  readonly isSlow: boolean;
}

export interface JudgeFacts {
  readonly lines: ReadonlyMap<string, readonly RequestLine[]>;
  /** When routers were killed. */
  readonly routerDeathsMs: readonly number[];
}

/** The router may have died before its last lines were written. */
const LINE_LOST_MS = 1000;
/** A caller may not have noticed yet that a connection of his is gone. */
const CONNECTION_LOST_MS = 3000;
/** A killed router is back within this time; several in a row are started with growing pauses. */
const ROUTER_AWAY_MS = 20_000;
/** Beyond the deadline: for a busy machine. */
const LATE_MS = 5000;

export function judgeCalls(calls: readonly JudgedCall[], facts: JudgeFacts): string[] {
  const known = new Set(calls.map(({ end }) => end.id));
  const stray = [...facts.lines.keys()].filter((id) => !known.has(id));
  return [
    ...calls.flatMap((call) => judgeCall(call, facts).map((sentence) => `${call.end.id}: ${sentence}`)),
    ...stray.map((id) => `${id}: the router logged a request that nobody made`),
  ];
}

function judgeCall(call: JudgedCall, facts: JudgeFacts): string[] {
  return [...judgeEnding(call, facts), ...judgeText(call), ...judgeLine(call, facts), ...judgeTime(call)];
}

function judgeEnding({ end }: JudgedCall, { routerDeathsMs, lines }: JudgeFacts): string[] {
  const { ending, code, startedMs, endedMs } = end;
  if (ending === 'untruthful') return [`the answer lied about its end: ${code}`];
  const lostRouter = routerDeathsMs.some((atMs) => atMs > startedMs - ROUTER_AWAY_MS && atMs <= endedMs);
  if (ending === 'unreachable' && !lostRouter) return ['no router listened, and none had died'];
  const wasSlow = (lines.get(end.id) ?? []).some(({ outcome }) => outcome === 'slow_consumer');
  if (ending === 'broken' && !lostRouter && !wasSlow) return [`the connection broke, and no router had died: ${code}`];
  return [];
}

function judgeText({ end, expected }: JudgedCall): string[] {
  if (end.ending === 'whole' && end.text !== expected) return [`the answer differs: ${firstDifference(end, expected)}`];
  return expected.startsWith(end.text) ? [] : [`a part of the answer differs: ${firstDifference(end, expected)}`];
}

function firstDifference({ text }: CallEnd, expected: string): string {
  let at = 0;
  while (at < text.length && text[at] === expected[at]) at += 1;
  return `at character ${at} "${text.slice(at, at + 30)}" instead of "${expected.slice(at, at + 30)}"`;
}

function judgeLine({ end }: JudgedCall, { lines, routerDeathsMs }: JudgeFacts): string[] {
  const found = lines.get(end.id) ?? [];
  const [line] = found;
  if (found.length > 1) return [`the router settled it ${found.length} times`];
  if (end.ending === 'unreachable') return line === undefined ? [] : ['nobody listened, and yet it was settled'];
  if (line !== undefined)
    return agrees(end, line) ? [] : [`the caller saw ${saw(end)}, the router settled ${line.outcome}`];
  // Begun just after a death it went into a connection that was broken already.
  const mayBeLost = routerDeathsMs.some(
    (atMs) => atMs >= end.startedMs - CONNECTION_LOST_MS && atMs <= end.endedMs + LINE_LOST_MS,
  );
  // A caller who hung up before his request had left leaves no trace.
  const neverArrived = end.ending === 'cancelled' && end.status === undefined;
  return mayBeLost || neverArrived ? [] : [`the caller saw ${saw(end)}, and the router never settled it`];
}

function saw({ ending, code }: CallEnd): string {
  return code === undefined ? ending : `${ending} (${code})`;
}

function agrees({ ending, code }: CallEnd, { outcome }: RequestLine): boolean {
  switch (ending) {
    case 'whole':
      return outcome === 'served';
    case 'told':
    case 'refused':
      return outcome === code;
    case 'broken':
      return outcome === 'slow_consumer' || outcome === 'draining' || outcome === 'client_gone';
    // Whatever came first.
    case 'cancelled':
      return true;
    default:
      return false;
  }
}

function judgeTime({ end, deadlineMs, isSlow }: JudgedCall): string[] {
  const tookMs = Math.round(end.endedMs - end.startedMs);
  return isSlow || tookMs <= deadlineMs + LATE_MS
    ? []
    : [`it took ${tookMs} ms, and its deadline was ${deadlineMs} ms`];
}

/** What may be under way when an instance is put to sleep. */
const OVERLAP_MS = 500;

interface Span {
  readonly id: string;
  readonly slot: string;
  readonly revision: string;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Content of two revisions that came out of one slot at the same time. Slow readers see old content late and are left out. */
export function judgeResidence(calls: readonly JudgedCall[], lines: JudgeFacts['lines']): string[] {
  const spans = calls.flatMap((call) => spanOf(call, lines)).sort((a, b) => a.fromMs - b.fromMs);
  /** By slot and revision: the span that ends last. */
  const latest = new Map<string, Map<string, Span>>();
  return spans.flatMap((span) => {
    const inSlot = latest.get(span.slot) ?? new Map<string, Span>();
    latest.set(span.slot, inSlot);
    const overlapping = [...inSlot.values()].filter(
      ({ revision, toMs }) => revision !== span.revision && toMs > span.fromMs + OVERLAP_MS,
    );
    const own = inSlot.get(span.revision);
    if (own === undefined || own.toMs < span.toMs) inSlot.set(span.revision, span);
    return overlapping.map(
      ({ id, toMs }) =>
        `${id} and ${span.id}: two revisions answered from slot ${span.slot} for ${Math.round(toMs - span.fromMs)} ms`,
    );
  });
}

function spanOf({ end, isSlow }: JudgedCall, lines: JudgeFacts['lines']): Span[] {
  const { id, firstContentMs, lastContentMs, pieces } = end;
  const [slot, revision] = (lines.get(id)?.[0]?.instance ?? '').split('/');
  if (isSlow || !slot || !revision || pieces < 2 || firstContentMs === undefined || lastContentMs === undefined)
    return [];
  return [{ id, slot, revision, fromMs: firstContentMs, toMs: lastContentMs }];
}
