// The status of a Model: which revision answers, how warm it is, and conditions with a sentence for people. Pure.
// Sentences say what is wrong and what to do; they name no running figures but those of a download, which are read every 10 s.
import { type Condition, sayBefore, setCondition } from '../api/group.ts';
import { TABLE_MODELS_MAX } from '../api/link.ts';
import type { Model, ModelStatus } from '../api/model.ts';
import type { LifecycleState } from '../core/plan/lifecycle.ts';
import type { ObjectiveBound } from '../core/plan/scale/objective-bound.ts';
import { AWAKE_ROOM, type AwakeRoom } from './awake-room.ts';
import type { ModelView } from './model-view.ts';
import { type PinState, sayLeaving } from './pins.ts';
import { SLEEP_ROOM, type SleepRoom } from './sleep-room.ts';
import { AWAKE_LABEL } from './slot-pod.ts';
import type { TrialFailure } from './trials.ts';

export interface ModelFacts {
  readonly model: Model;
  readonly pin: PinState;
  readonly state: LifecycleState;
  /** The Model that has the served name, when it is another one. */
  readonly nameOwner: string | undefined;
  /** It has its name, and routers are told of as many older Models as a table takes. */
  readonly isBeyondTable: boolean;
  /** Pools of the spec that do not exist. All of them: it can run nowhere. */
  readonly missingPools: readonly string[];
  /** Why no pool that it may use has a slot for it, when that is so. */
  readonly slotTrouble: string | undefined;
  readonly view: ModelView | undefined;
  readonly trialFailure: TrialFailure | undefined;
  /** Whether the objective can be kept. Undefined: nothing of its own answers yet. */
  readonly objective: ObjectiveBound | undefined;
  /** Whether what never sleeps has slots. Undefined: nothing of it never sleeps. */
  readonly awakeRoom: AwakeRoom | undefined;
  /** Whether it fits where it would sleep. Undefined: nothing bounds that, or none of it sleeps. */
  readonly sleepRoom: SleepRoom | undefined;
  readonly wallMs: number;
}

type Verdict = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

export const OBJECTIVE = 'ObjectivePossible';
const TOO_MANY = `Routers are told of ${TABLE_MODELS_MAX} Models, and so many are older than this one. Delete one that is not needed, or move this one to another namespace with an installation of its own.`;
const DECISION_CHARS_MAX = 512;

export function renderModelStatus(given: ModelFacts): ModelStatus {
  // A plan from before the first version was there says nothing of it.
  const facts = given.view?.scaleDecision === undefined ? { ...given, view: undefined } : given;
  const { model, state, view, wallMs } = facts;
  const { generation = 0, name } = model.metadata;
  const verdicts = [
    judgePinned(facts),
    judgeName(facts),
    judgeUpdated(facts),
    judgeReady(facts),
    ...judgeLimits(facts),
  ];
  const said = new Set(verdicts.map(({ type }) => type));
  const conditions = verdicts.reduce<Condition[]>(
    (all, verdict) => setCondition(all, { ...verdict, observedGeneration: generation }, wallMs),
    (model.status?.conditions ?? []).filter(({ type }) => said.has(type) || !isAboutLimits(type)),
  );
  return {
    observedGeneration: generation,
    ...(state.stable === undefined ? {} : { stableRevision: state.stable }),
    ...(state.candidate === undefined ? {} : { candidateRevision: state.candidate }),
    ...(view === undefined ? renderUnplanned(facts) : renderView(view)),
    selector: `${AWAKE_LABEL}=${name}`,
    conditions,
  };
}

type Warmth = Pick<ModelStatus, 'rung' | 'awake' | 'asleep' | 'scaleDecision'>;

function renderView({ rung, awake, asleep, scaleDecision }: ModelView): Warmth {
  const decision = scaleDecision === undefined ? {} : { scaleDecision: scaleDecision.slice(0, DECISION_CHARS_MAX) };
  return { rung, awake, asleep, ...decision };
}

/** A new controller has not planned yet: what the last one wrote is the best that is known. */
function renderUnplanned({ model: { status }, state, nameOwner, isBeyondTable }: ModelFacts): Warmth {
  if (!wasPlanned(status) || nameOwner !== undefined || isBeyondTable)
    return { rung: state.stable === undefined ? 'Absent' : 'Staged', awake: 0, asleep: 0 };
  const { rung, awake, asleep, scaleDecision } = status;
  return { rung, awake, asleep, ...(scaleDecision === undefined ? {} : { scaleDecision }) };
}

/** Whether a plan was made since a version of it answers: then routers know of it. */
function wasPlanned(status: ModelStatus | undefined): status is ModelStatus {
  return status?.stableRevision !== undefined && status.scaleDecision !== undefined;
}

function verdict(type: string, status: Condition['status'], reason: string, message: string): Verdict {
  return { type, status, reason, message };
}

/** What its limits allow. They are said as long as there is something to say. */
function judgeLimits({ objective, awakeRoom, sleepRoom }: ModelFacts): Verdict[] {
  return [
    ...(objective === undefined ? [] : [{ type: OBJECTIVE, ...objective }]),
    ...(awakeRoom === undefined ? [] : [{ type: AWAKE_ROOM, ...awakeRoom }]),
    ...(sleepRoom === undefined ? [] : [{ type: SLEEP_ROOM, ...sleepRoom }]),
  ];
}

function isAboutLimits(type: string): boolean {
  return type === OBJECTIVE || type === AWAKE_ROOM || type === SLEEP_ROOM;
}

function judgePinned({ pin }: ModelFacts): Verdict {
  switch (pin.type) {
    case 'pinned':
      return verdict('Pinned', 'True', 'Pinned', `The version is pinned as ${pin.revision}.`);
    case 'refused':
      return verdict('Pinned', 'False', pin.reason, pin.message);
    case 'resolving':
      return verdict(
        'Pinned',
        'Unknown',
        'Resolving',
        pin.after === undefined ? 'The weights are being read.' : sayLeaving(pin.after),
      );
  }
}

function judgeName({ nameOwner, model }: ModelFacts): Verdict {
  const { servedName } = model.spec;
  if (nameOwner === undefined)
    return verdict('NameTaken', 'False', 'NameFree', `No older Model has the name ${servedName}.`);
  const message = `The Model ${nameOwner} is older and answers to ${servedName}. Make this one again with another servedName.`;
  return verdict('NameTaken', 'True', 'NameTaken', message);
}

function judgeUpdated({ pin, state, trialFailure }: ModelFacts): Verdict {
  const { stable, candidate } = state;
  if (candidate !== undefined && trialFailure !== undefined) {
    const said = `${candidate} failed, so ${stable ?? 'nothing'} goes on answering: ${trialFailure.message}`;
    const advice = 'It is tried again after a while; change spec.version to mend it.';
    return verdict('Updated', 'False', 'CandidateFailed', sayBefore(said, advice));
  }
  if (candidate !== undefined) {
    return verdict(
      'Updated',
      'False',
      'CandidateStarting',
      `${candidate} takes over from ${stable ?? 'nothing'} once an instance of it is probed.`,
    );
  }
  if (pin.type === 'pinned' && pin.revision === stable)
    return verdict('Updated', 'True', 'UpToDate', `${stable} answers.`);
  if (stable === undefined) return verdict('Updated', 'False', 'NotPinned', 'No version is pinned yet.');
  return verdict('Updated', 'False', 'NotPinned', `The new version is not pinned. ${stable} goes on answering.`);
}

function judgeReady(facts: ModelFacts): Verdict {
  const { state, missingPools, slotTrouble, model, view } = facts;
  const no = (reason: string, message: string) => verdict('Ready', 'False', reason, message);
  if (facts.nameOwner !== undefined || facts.isBeyondTable || state.stable === undefined) return judgeUnserved(facts);
  if (view === undefined) return recallReady(facts);
  if (view.baseUrl !== undefined) return judgeUpstream(view, view.baseUrl);
  if (missingPools.length === model.spec.pools.length) {
    return no('NoPool', `There is no Pool ${missingPools.join(' and no Pool ')}. Make one, or change spec.pools.`);
  }
  if (view.staging !== undefined && view.awake === 0) {
    const { isCold, reason, message } = view.staging;
    return isCold ? verdict('Ready', 'True', 'Cold', message) : no(reason, message);
  }
  if (view.failure !== undefined && view.awake === 0) return no(view.failure.reason, view.failure.message);
  if (view.awake > 0) return verdict('Ready', 'True', 'Awake', 'Requests are served at once.');
  if (slotTrouble !== undefined) return no('NoSlot', slotTrouble);
  return verdict('Ready', 'True', 'Cold', 'Nothing is awake; the next request wakes an instance.');
}

/** Routers are told of a Model with the first plan that has it, and not before: until then a request finds no such model. */
function recallReady({ model: { status } }: ModelFacts): Verdict {
  const before = status?.conditions?.find(({ type }) => type === 'Ready');
  if (before !== undefined && wasPlanned(status)) return verdict('Ready', before.status, before.reason, before.message);
  return verdict('Ready', 'False', 'Unplanned', 'Routers are about to be told of it.');
}

function judgeUnserved({ nameOwner, isBeyondTable, pin, model }: ModelFacts): Verdict {
  const no = (reason: string, message: string) => verdict('Ready', 'False', reason, message);
  if (nameOwner !== undefined) return no('NameTaken', `The Model ${nameOwner} answers to ${model.spec.servedName}.`);
  if (isBeyondTable) return no('TooManyModels', TOO_MANY);
  return pin.type === 'refused' ? no(pin.reason, pin.message) : no('NotPinned', 'No version is pinned yet.');
}

function judgeUpstream({ rung, failure }: ModelView, baseUrl: string): Verdict {
  if (failure !== undefined) return verdict('Ready', 'False', failure.reason, failure.message);
  if (rung === 'Awake') return verdict('Ready', 'True', 'Upstream', `Requests are passed on to ${baseUrl}.`);
  return verdict('Ready', 'False', 'ReadingSecret', 'The Secret of its API key is being read.');
}
