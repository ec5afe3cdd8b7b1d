// An agent of the controller lab: does what the last target says on a manual clock, one resident instance at a time, and
// reports as a real one does. Throws when a message is not above the fence.
import type { Pod } from '../../src/api/kinds.ts';
import {
  type AgentReport,
  type HubToAgent,
  type InstanceReport,
  LINK_VERSION_MAX,
  type Rung,
  residentRungs,
  type Target,
} from '../../src/api/link.ts';
import type { Clock } from '../../src/lib/clock.ts';
import type { AgentSession, HubHandlers, HubSession } from '../../src/ports/link.ts';
import type { MemoryCluster } from './memory-cluster.ts';

export const START_MS = 1000;
export const WAKE_MS = 100;
const SLEEP_MS = 50;
export const BUILD = 'builtin:0123456789ab';

/** An agent that does what a target says, one instance after the other, in the times above. */
export interface LabAgent {
  readonly podUid: string;
  readonly name: string;
  readonly targets: Target[];
  readonly withdrawn: number[];
  isConnected(): boolean;
  instance(revision: string): InstanceReport | undefined;
  instances(): readonly InstanceReport[];
  /** Requests that are being served. */
  setInFlight(revision: string, inFlight: number): void;
  /** Starts of this revision fail from now on; undefined mends it. */
  breakRevision(revision: string, reason: string | undefined): void;
  /** What its engines say they are from now on. */
  setEngineBuild(build: string): void;
  terminate(): void;
  connect(): void;
  disconnect(): void;
}

export interface LabWorld {
  readonly clock: Clock;
  readonly cluster: MemoryCluster;
  hub(): HubHandlers | undefined;
}

interface LabInstance {
  revision: string;
  model: string;
  rung: Rung;
  sinceMs: number;
  incarnation: number;
  inFlight: number;
  activeAtMs: number | undefined;
  failure: { reason: string; message: string } | undefined;
  retryAtMs: number;
  fromRung: 'Staged' | 'Asleep';
}

export class FollowingAgent implements LabAgent {
  readonly podUid: string;
  readonly name: string;
  readonly targets: Target[] = [];
  readonly withdrawn: number[] = [];
  readonly #world: LabWorld;
  readonly #instances = new Map<string, LabInstance>();
  readonly #broken = new Map<string, string>();
  #session: AgentSession | undefined;
  #isTerminating = false;
  #sessions = 0;
  #fence = { epoch: 0, seq: 0 };
  #last = '';
  #isOver = false;
  #build = BUILD;

  constructor(pod: Pod, world: LabWorld) {
    this.podUid = pod.metadata.uid ?? '';
    this.name = pod.metadata.name;
    this.#world = world;
  }

  isConnected = () => this.#session !== undefined;

  connect(): void {
    const session: AgentSession = {
      id: `${this.name}-${++this.#sessions}`,
      role: 'agent',
      identity: { username: 'system:serviceaccount:default:stoker-slot', podUid: this.podUid, podName: this.name },
      hello: {
        type: 'hello',
        role: 'agent',
        name: this.name,
        release: 'test',
        versions: { min: 1, max: LINK_VERSION_MAX },
        fence: this.#fence,
        podUid: this.podUid,
        dataPort: 9000,
      },
      send: (message) => this.#obey(message),
      close: () => this.disconnect(),
    };
    openSession(session, this.#world);
    this.#session = session;
    this.#report();
  }

  disconnect(): void {
    const session = this.#session;
    this.#session = undefined;
    if (session !== undefined) this.#world.hub()?.onClose(session, 'gone');
  }

  end(): void {
    this.#isOver = true;
    this.disconnect();
  }

  instance = (revision: string) => this.instances().find((instance) => instance.revision === revision);
  instances = () => [...this.#instances.values()].map((instance) => this.#render(instance));

  setInFlight(revision: string, inFlight: number): void {
    const instance = this.#instances.get(revision);
    if (instance === undefined) throw new Error(`${revision} is not in ${this.name}`);
    instance.inFlight = inFlight;
    instance.activeAtMs = this.#world.clock.nowMs();
    this.#report();
  }

  breakRevision(revision: string, reason: string | undefined): void {
    if (reason === undefined) this.#broken.delete(revision);
    else this.#broken.set(revision, reason);
  }

  setEngineBuild(build: string): void {
    this.#build = build;
  }

  terminate(): void {
    if (this.#isTerminating) return;
    this.#isTerminating = true;
    this.#report();
  }

  /** Moves every instance one step as far as time allows. */
  work(): void {
    if (this.#isOver) return;
    if (this.#isTerminating && (this.withdrawn.length > 0 || !this.isConnected())) {
      this.end();
      this.#world.cluster.endPod(this.name);
      return;
    }
    const wanted = new Map(this.targets.at(-1)?.instances.map((instance) => [instance.revision, instance]));
    for (const instance of [...this.#instances.values()]) {
      const step = nextStep(instance, {
        wanted: wanted.get(instance.revision)?.rung,
        nowMs: this.#world.clock.nowMs(),
        broken: this.#broken.get(instance.revision),
      });
      if (step === 'gone') this.#instances.delete(instance.revision);
      else Object.assign(instance, step);
    }
    for (const one of wanted.values()) if (one.rung === 'Awake' && this.#isFree()) this.#climb(one.model, one.revision);
    this.#reportNews();
  }

  #isFree(): boolean {
    return [...this.#instances.values()].every(({ rung }) => !residentRungs.has(rung));
  }

  #climb(model: string, revision: string): void {
    const nowMs = this.#world.clock.nowMs();
    const known = this.#instances.get(revision);
    if (known !== undefined && nowMs < known.retryAtMs) return;
    const isAsleep = known?.rung === 'Asleep';
    this.#instances.set(revision, {
      revision,
      model,
      inFlight: 0,
      activeAtMs: undefined,
      failure: known?.failure,
      retryAtMs: 0,
      incarnation: (known?.incarnation ?? 0) + (isAsleep ? 0 : 1),
      rung: isAsleep ? 'Waking' : 'Starting',
      sinceMs: nowMs,
      fromRung: isAsleep ? 'Asleep' : 'Staged',
    });
  }

  #obey(message: HubToAgent): boolean {
    if (message.type === 'welcome' || message.type === 'moved') return true;
    const { epoch, seq } = message;
    const isNewer = epoch > this.#fence.epoch || (epoch === this.#fence.epoch && seq > this.#fence.seq);
    if (!isNewer) throw new Error(`(${epoch}, ${seq}) is not above (${this.#fence.epoch}, ${this.#fence.seq})`);
    this.#fence = { epoch, seq };
    if (message.type === 'target') this.targets.push(message);
    else this.withdrawn.push(this.#world.clock.nowMs());
    return true;
  }

  #render(instance: LabInstance): InstanceReport {
    const { revision, model, rung, incarnation, inFlight, failure, activeAtMs } = instance;
    const nowMs = this.#world.clock.nowMs();
    const isUp = rung === 'Awake' || rung === 'Draining';
    const wanted = this.targets.at(-1)?.instances.find((one) => one.revision === revision);
    return {
      id: `${this.podUid}/${revision}/${incarnation}`,
      model,
      revision,
      rung,
      probed: isUp,
      inFlight,
      rungAgeMs: nowMs - instance.sinceMs,
      ...(activeAtMs === undefined ? {} : { idleMs: inFlight > 0 ? 0 : nowMs - activeAtMs }),
      ...(failure === undefined ? {} : { failure: { ...failure, retryInMs: Math.max(0, instance.retryAtMs - nowMs) } }),
      ...(isUp
        ? {
            engineBuild: this.#build,
            climb: { from: instance.fromRung, totalMs: instance.fromRung === 'Asleep' ? WAKE_MS : START_MS },
          }
        : {}),
      ...(isUp && wanted?.launch.probeExpected === undefined
        ? { probeSample: { tokenIds: [1, 2], logprobs: ['-0.1', '-0.2'] } }
        : {}),
    };
  }

  #reportNews(): void {
    const text = JSON.stringify(
      [...this.#instances.values()].map(({ revision, rung, inFlight }) => [revision, rung, inFlight]),
    );
    if (text !== this.#last) this.#report();
    this.#last = text;
  }

  #report(): void {
    if (this.#session === undefined) return;
    const report: AgentReport = {
      type: 'report',
      fence: this.#fence,
      keyVersions: this.targets.at(-1)?.keys.map(({ version }) => version) ?? [],
      terminating: this.#isTerminating,
      instances: this.instances(),
    };
    this.#world.hub()?.onAgentMessage(this.#session, report);
  }
}

interface Situation {
  readonly wanted: string | undefined;
  readonly nowMs: number;
  /** Why its starts fail. */
  readonly broken: string | undefined;
}
type Step = Partial<LabInstance> | 'gone';

const stay: Step = {};

function nextStep(instance: LabInstance, situation: Situation): Step {
  const { wanted, nowMs } = situation;
  const to = (rung: Rung): Step => ({ rung, sinceMs: nowMs });
  switch (instance.rung) {
    case 'Starting':
    case 'Waking':
      return endClimb(instance, situation);
    case 'Awake':
      return wanted === 'Awake' ? stay : to('Draining');
    case 'Draining':
      return wanted === 'Awake' ? to('Awake') : endDrain(instance, situation);
    case 'Sleeping':
      return nowMs - instance.sinceMs >= SLEEP_MS ? to('Asleep') : stay;
    case 'Stopping':
      return wanted === undefined ? 'gone' : to('Staged');
    default:
      if (wanted === undefined) return 'gone';
      return wanted === 'Staged' && instance.rung !== 'Staged' ? to('Staged') : stay;
  }
}

function endDrain({ inFlight }: LabInstance, { wanted, nowMs }: Situation): Step {
  return inFlight > 0 ? stay : { rung: wanted === 'Asleep' ? 'Sleeping' : 'Stopping', sinceMs: nowMs };
}

function endClimb({ rung, sinceMs }: LabInstance, { nowMs, broken }: Situation): Step {
  if (nowMs - sinceMs < (rung === 'Starting' ? START_MS : WAKE_MS)) return stay;
  if (broken === undefined) return { rung: 'Awake', sinceMs: nowMs, failure: undefined, activeAtMs: undefined };
  const failure = { reason: broken, message: `It does not work: ${broken}.` };
  return { rung: 'Failed', sinceMs: nowMs, failure, retryAtMs: nowMs + 2000 };
}

export function openSession(session: HubSession, world: Pick<LabWorld, 'hub'>): void {
  const refusal = world.hub()?.admit(session);
  if (refusal !== undefined) throw new Error(`refused: ${refusal}`);
  world.hub()?.onOpen(session);
}
