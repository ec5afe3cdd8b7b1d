// A scaling decision in words: one sentence that changes only when the reason does, every term behind it with its meaning, and
// the nearest world in which it would be another one. Decides nothing.
import type { ScaleAction, ScaleDecision, ScaleTerm } from './decision.ts';
import type { ScalerFigures, ScalerInput } from './scaler.ts';
import type { ScaleSettings } from './settings.ts';

export interface Explained {
  readonly model: string;
  readonly input: ScalerInput;
  readonly figures: ScalerFigures;
  readonly settings: ScaleSettings;
  /** It sleeps early, because other models are likely to need its slot. */
  readonly isRested: boolean;
  /** What is ordered in the end. */
  readonly desired: number;
}

export function explainDecision(explained: Explained): ScaleDecision {
  const { model, input, figures, desired } = explained;
  const isHeld = figures.hindrance === 'Stale' || figures.hindrance === 'Floor';
  const action: ScaleAction =
    desired > input.ordered ? 'Wake' : desired < input.ordered ? 'Sleep' : isHeld && desired > 0 ? 'Hold' : 'Keep';
  return {
    model,
    desired,
    action,
    sentence: renderSentence(explained, action),
    terms: [...renderTerms(explained), renderOtherwise(explained)],
  };
}

const count = (number: number) => `${number} ${number === 1 ? 'instance' : 'instances'}`;
const seconds = (ms: number) => (Number.isFinite(ms) ? `${Math.round(ms / 100) / 10} s` : 'endless');
const round = (value: number) => Math.round(value * 100) / 100;

function renderSentence(explained: Explained, action: ScaleAction): string {
  const { input, figures, desired } = explained;
  if (action === 'Hold') return `${count(desired)} awake as before: no router says how much there is to do.`;
  if (action === 'Sleep' && input.ordered > input.max) return `${count(desired)} may be awake: maxAwake was lowered.`;
  if (explained.isRested)
    return `${desired === 0 ? 'Nothing' : count(desired)} should be awake: other models need the slot more.`;
  if (desired === 0) return 'Nothing should be awake: nobody asks.';
  if (figures.order.asked > input.max)
    return `${count(desired)} should be awake: there is work for more, but maxAwake is ${input.max}.`;
  return `${count(desired)} should be awake: ${renderCause(explained)}.`;
}

/** The first that is true, in the order in which people would look for a cause. */
function renderCause(explained: Explained): string {
  const { input, figures, settings, desired } = explained;
  const { need, order, base, hindrance } = figures;
  const steadyUse = need.slow / settings.steadyUse;
  const isBurst = need.fast / settings.fastUse > need.slow + need.backlog;
  const causes: readonly [boolean, string][] = [
    [hindrance === 'New', 'too little is known yet to lower anything'],
    [
      hindrance === 'Holding' || hindrance === 'OneByOne',
      `as many were needed in the last ${seconds(settings.downMs)}`,
    ],
    [desired > order.want, 'what climbs is on its way'],
    [desired === input.min && order.want <= input.min && need.base <= input.min, `minAwake is ${input.min}`],
    [order.want > order.steady, isBurst ? 'a burst comes in' : 'requests wait'],
    [base > need.base + 0.01, `the sustained need of the last ${seconds(settings.baseHoldMs)} was as high`],
    [input.forecastFloor > Math.max(steadyUse, need.headroom), 'the forecast asks for it'],
    [need.keepUp > need.slow, 'what is awake falls behind what comes'],
    [need.headroom > steadyUse, 'a burst like the last ones could not wait for a wake'],
    [steadyUse > settings.tolerance, 'the work of the last minutes needs it'],
    [input.hasWakeLease, 'a caller was told to come back'],
    [input.waitingTokens.length > 0, 'requests wait'],
    [input.inFlight > 0, 'requests are being served'],
  ];
  return causes.find(([isTrue]) => isTrue)?.[1] ?? 'the last request was a moment ago';
}

function renderTerms({ input, figures, settings, desired }: Explained): ScaleTerm[] {
  const { need, order, base, held, cost } = figures;
  const term = (name: string, value: ScaleTerm['value'], meaning: string): ScaleTerm => ({ name, value, meaning });
  return [
    term('signalAge', seconds(input.signalAgeMs), 'age of what routers said last'),
    term('queued', input.waitingTokens.length, 'requests that wait'),
    term('inFlight', input.inFlight, 'requests that are being served'),
    term('wakeLease', input.hasWakeLease, 'a caller was told to come back'),
    term('a', round(cost.stepMs), 'milliseconds of an engine step, whatever it does (learned)'),
    term('b', round(cost.perSequenceMs * 1000) / 1000, 'milliseconds of a step for each sequence (learned)'),
    term('g', round(cost.perPromptTokenMs * 1000) / 1000, 'milliseconds of a step for each prompt token (learned)'),
    term('outputTokens', Math.round(figures.outputTokens), 'tokens of an answer on average (learned)'),
    term('wake', seconds(figures.wakeMs), 'a slow wake (learned)'),
    term('makeRoom', seconds(input.makeRoomMs), 'what another instance takes to leave the slot'),
    term('slowWork', round(need.slow), `replicas that the work of the last ${seconds(settings.slowMs)} keeps busy`),
    term('fastWork', round(need.fast), `replicas that the work of the last ${seconds(settings.fastMs)} keeps busy`),
    term('waitShare', need.waitShare, 'share of the time to the first token that a request may wait'),
    term('backlog', seconds(need.backlogMs), 'time of one replica that waits to be done'),
    term('backlogNeed', round(need.backlog), 'replicas that do it in time'),
    term('headroom', round(need.headroom), 'replicas for bursts that cannot wait for a wake'),
    term('keepUp', round(need.keepUp), 'replicas that what comes keeps busy, as a long queue shows; 0 without one'),
    term('forecast', round(input.forecastFloor), 'replicas that a forecast asks for; 0 when none has earned it'),
    term(
      'base',
      round(base),
      `sustained need, the largest of ${seconds(settings.baseHoldMs)}; starts from nothing may meet it`,
    ),
    term('excess', round(need.excess), 'need of the moment; only wakes meet what is above the base'),
    term('late', order.late, 'climbs that come too late for the moment'),
    term('useless', order.isUseless, 'a wake would come when what waits is done'),
    term('want', order.want, 'instances that the work needs now'),
    term('held', held, `the most that were wanted in the last ${seconds(settings.downMs)}`),
    term('startsMax', figures.coldMax, 'of the desired, those that may be started from nothing'),
    term('startedLately', figures.coldStarts, 'starts from nothing in the last minute, which are limited'),
    term('minAwake', input.min, 'instances that never sleep'),
    term('maxAwake', input.max, 'instances that may be awake'),
    term('now', input.ordered, 'instances that were wanted awake before'),
    term('hindrance', figures.hindrance, 'why more are kept than the work needs'),
    term('desired', desired, 'instances that are wanted awake now'),
  ];
}

function renderOtherwise(explained: Explained): ScaleTerm {
  return { name: 'otherwise', value: findOtherwise(explained), meaning: 'what would change it' };
}

function findOtherwise({ input, figures, desired, isRested, settings }: Explained): string {
  const { need, order, hindrance } = figures;
  if (order.asked > input.max) return `with maxAwake ${order.asked} it would be ${order.asked}`;
  if (isRested) return `without other models it would be ${figures.desired}`;
  if (hindrance === 'Stale' || hindrance === 'Floor') return `with fresh news of routers it would be ${order.want}`;
  if (hindrance !== 'None') return `without the hold it would be ${order.want}`;
  if (desired === 0) return 'the first request wakes one';
  if (input.forecastFloor > Math.max(need.slow / settings.steadyUse, need.headroom) && order.want === order.steady)
    return 'without the forecast it would be fewer';
  if (order.isUseless) return 'with a faster wake it would be more';
  const calm = Math.max(input.min, Math.ceil(need.base - settings.tolerance), 0);
  if (order.want > calm) return `without what waits and the burst it would be ${calm}`;
  if (desired === input.min)
    return `with minAwake 0 it would be ${Math.max(0, Math.ceil(need.base - settings.tolerance))}`;
  return 'with less work in the last minutes it would be fewer';
}
