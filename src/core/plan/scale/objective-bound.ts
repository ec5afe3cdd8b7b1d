// Whether an objective for the first token can be kept at all, by what was learned: no plan makes a climb, a sleep or the reading
// of a prompt faster. Says nothing of requests that find an instance awake and free: those are what scaling is for. Pure.

/** What a plan cannot change, in milliseconds. Undefined: nothing is known of it, or it is in nobody's way. */
export interface ObjectiveFigures {
  /** How long the climb to awake took lately: a wake, or a start of what never sleeps. */
  readonly climbMs?: number | undefined;
  /** To read the prompt that 95 of 100 do not exceed, alone and with none of it cached. */
  readonly readMs?: number | undefined;
  /** The shortest sleep of another model that may have to make room; undefined when a slot always stands free. */
  readonly sleepMs?: number | undefined;
}

export interface ObjectiveFacts extends ObjectiveFigures {
  readonly firstTokenMillis: number;
  /** False: nobody asked for it, and scaling goes by it. */
  readonly isStated: boolean;
  readonly minAwake: number;
  readonly from: 'Asleep' | 'Staged';
  /** Time between a request and the decision about it, at most. */
  readonly lagMs: number;
}

export interface ObjectiveBound {
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: 'Possible' | 'Impossible' | 'SlowClimb' | 'SlotsTaken' | 'PromptsTooLong' | 'Unmeasured';
  readonly message: string;
}

export function judgeObjective(facts: ObjectiveFacts): ObjectiveBound {
  const { firstTokenMillis, isStated, minAwake, climbMs, readMs = 0, sleepMs = 0, from, lagMs } = facts;
  if (readMs > firstTokenMillis) return refuse('PromptsTooLong', explainReading(facts), facts);
  if (minAwake > 0)
    return {
      status: 'True',
      reason: 'Possible',
      message: 'One instance stays awake, so no first request waits for a climb.',
    };
  if (climbMs === undefined)
    return { status: 'Unknown', reason: 'Unmeasured', message: `No ${nameOf(from)} of this version was measured yet.` };
  const climbedMs = climbMs + lagMs + readMs;
  if (climbedMs > firstTokenMillis)
    return refuse(isStated ? 'Impossible' : 'SlowClimb', explainClimb(facts, climbMs), facts);
  if (climbedMs + sleepMs > firstTokenMillis) return refuse('SlotsTaken', explainRoom(facts, climbMs), facts);
  const message = `A ${nameOf(from)} fits into the objective, by what was measured.`;
  return { status: 'True', reason: 'Possible', message };
}

interface Explained {
  /** Whose requests take longer. */
  readonly who: string;
  readonly parts: readonly string[];
  /** What helps besides another objective. */
  readonly remedies: readonly string[];
}

const keepAwake = 'keep one awake (scaling.minAwake: 1)';

function explainReading({ readMs = 0 }: ObjectiveFacts): Explained {
  return {
    who: 'long prompts, whatever is awake',
    parts: [`5 of 100 take ${seconds(readMs)} or more to read by what was learned, when none of it is cached`],
    remedies: ['give a slot more accelerators'],
  };
}

function explainClimb(facts: ObjectiveFacts, climbMs: number): Explained {
  const parts = climbParts(facts, climbMs);
  return { who: 'requests that find nothing awake', parts, remedies: [keepAwake] };
}

function explainRoom(facts: ObjectiveFacts, climbMs: number): Explained {
  return {
    who: 'requests that find nothing awake and every slot taken',
    parts: [
      `another model has to sleep first, which takes ${seconds(facts.sleepMs ?? 0)} by its size`,
      ...climbParts(facts, climbMs),
    ],
    remedies: ['let slots stand free (spec.spare of the Pool)', keepAwake],
  };
}

/** Less is not worth a word. */
const READ_MS_MIN = 50;

function climbParts({ from, lagMs, readMs = 0 }: ObjectiveFacts, climbMs: number): string[] {
  const reading = readMs < READ_MS_MIN ? [] : [`a long prompt is read in ${seconds(readMs)}`];
  return [
    `a ${nameOf(from)} takes ${seconds(climbMs)} by what was measured`,
    `until it is ordered ${seconds(lagMs)} may pass`,
    ...reading,
  ];
}

/** Where nobody stated an objective, nobody made a mistake. */
function refuse(
  reason: ObjectiveBound['reason'],
  { who, parts, remedies }: Explained,
  { firstTokenMillis, isStated }: ObjectiveFacts,
): ObjectiveBound {
  const [sum, aim] = [listed(parts, 'and'), seconds(firstTokenMillis)];
  const message = isStated
    ? `It cannot be met by ${who}: ${sum}; the objective is ${aim}. ${capital(listed([...remedies, 'raise scaling.firstTokenMillis'], 'or'))}.`
    : `Nothing has to be changed: no objective is stated, and scaling goes by ${aim}. It is not met by ${who}: ${sum}. Where that matters, ${listed(remedies, 'or')}; else set scaling.firstTokenMillis to what will do.`;
  return { status: 'False', reason, message };
}

function nameOf(from: ObjectiveFacts['from']): string {
  return from === 'Asleep' ? 'wake' : 'start';
}

function listed(parts: readonly string[], word: 'and' | 'or'): string {
  if (parts.length < 2) return parts.join();
  const comma = word === 'and' ? ',' : '';
  return `${parts.slice(0, -1).join(', ')}${comma} ${word} ${parts.at(-1)}`;
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** Two digits: the sentence does not change with every climb. */
function seconds(ms: number): string {
  return `${Number((ms / 1000).toPrecision(2))} s`;
}

/** Of what was said last, a figure stays until what is learned differs by more than this share of it. */
const HELD_SHARE = 0.15;

/**
 * The figures to judge by, from those that were judged by last: learned figures move with every request, and what is said of them
 * should not. A verdict that has changed changes back only when a figure has come back by as much.
 */
export function holdFigures(before: ObjectiveFigures | undefined, now: ObjectiveFigures): ObjectiveFigures {
  return {
    climbMs: holdFigure(before?.climbMs, now.climbMs),
    readMs: holdFigure(before?.readMs, now.readMs),
    sleepMs: holdFigure(before?.sleepMs, now.sleepMs),
  };
}

function holdFigure(before: number | undefined, now: number | undefined): number | undefined {
  if (before === undefined || now === undefined) return now;
  return Math.abs(now - before) > HELD_SHARE * before ? now : before;
}

/** Who has measured nothing yet, because it has just begun, takes nothing back of what was said of the same spec. */
export function keepVerdict(
  before: Pick<ObjectiveBound, 'reason'>,
  now: ObjectiveBound,
  { readMs }: ObjectiveFigures,
): boolean {
  if (now.status === 'False') return false;
  return now.reason === 'Unmeasured' || (before.reason === 'PromptsTooLong' && readMs === undefined);
}
