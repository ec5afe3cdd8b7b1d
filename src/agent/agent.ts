// The agent of one slot: obeys the hub's targets, reports, and serves the data path. Owns nothing but what it is composed of.
// Keeps what it has when the hub is away; never decides by itself which models run.
import { type AgentHello, type AgentReport, LINK_VERSION_MAX, LINK_VERSION_MIN, type Target } from '../api/link.ts';
import type { Engines } from '../engine/engines.ts';
import { assert } from '../lib/assert.ts';
import { type Clock, deadlineSignal, every, type Timer } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Rng } from '../lib/rng.ts';
import type { AgentSpoke, AgentSpokeHandlers } from '../ports/link.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { createAdminServer } from './admin-server.ts';
import { raceAbort } from './climb.ts';
import { createDataPath } from './data-path/server.ts';
import { createSlotKeys } from './data-path/slot-keys.ts';
import { openIncarnations } from './incarnations.ts';
import { type AgentLimits, agentLimits } from './limits.ts';
import { createReporter, type Reporter } from './reporter.ts';
import { Slot } from './slot.ts';

export interface AgentOptions {
  readonly podUid: string;
  readonly podName: string;
  readonly release: string;
  connectLink(handlers: AgentSpokeHandlers, hello: () => AgentHello): AgentSpoke;
  readonly engines: Engines;
  /** Counts of starts are kept here. */
  readonly stateDir: string;
  readonly bindHost: string;
  /** 0 picks a free one. */
  readonly dataPort: number;
  readonly adminPort: number;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly limits?: Partial<AgentLimits>;
}

export interface Agent {
  /** Ends what an earlier agent left behind, listens, dials the hub. Rejects when a port is taken. */
  start(): Promise<{ readonly dataPort: number; readonly adminPort: number }>;
  /** Takes its leave (DESIGN §14.7): says so, serves on until routers have let go, drains, cuts truthfully, ends the engines. */
  stop(graceMs: number): Promise<void>;
}

export function createAgent(options: AgentOptions): Agent {
  return new SlotAgent(options);
}

interface Running {
  readonly slot: Slot;
  readonly link: AgentSpoke;
  readonly reporter: Reporter;
  readonly vitals: Timer;
  close(): Promise<void>;
}

class SlotAgent implements Agent {
  readonly #options: AgentOptions;
  readonly #limits: AgentLimits;
  readonly #keys = createSlotKeys();
  readonly #withdrawn: Promise<void>;
  #setWithdrawn: () => void = () => {};
  #fence = { epoch: 0, seq: 0 };
  #hasOpened = false;
  #isTerminating = false;
  #running: Running | undefined;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#limits = { ...agentLimits, ...options.limits };
    this.#withdrawn = new Promise((resolve) => {
      this.#setWithdrawn = resolve;
    });
  }

  async start(): Promise<{ dataPort: number; adminPort: number }> {
    assert(this.#running === undefined, 'an agent is started once');
    const { engines, stateDir, podUid, log, clock, bindHost, metrics } = this.#options;
    await engines.endStale();
    const incarnations = await openIncarnations({ stateDir, podUid, log });
    // Nothing changes before the first target, and that comes after the reporter is there.
    const onChange = () => this.#onChange();
    const slot = new Slot({
      ...this.#options,
      adapters: engines.adapters,
      incarnations,
      limits: this.#limits,
      onChange,
    });
    const door = { accepts: this.#keys.accepts, admit: (id: string) => slot.admit(id) };
    const dataPath = createDataPath({ door, metrics, clock, log });
    const admin = createAdminServer({ metrics, missing: () => this.#missing() });
    const dataPort = await dataPath.listen(bindHost, this.#options.dataPort);
    const adminPort = await admin.listen(bindHost, this.#options.adminPort).catch(async (error: unknown) => {
      await dataPath.close();
      throw error;
    });
    const link = this.#options.connectLink(this.#handlers(), () => this.#hello(dataPort));
    const close = async () => {
      await dataPath.close();
      await link.stop();
      await admin.close();
    };
    this.#running = { slot, link, reporter: this.#startReporter(), vitals: this.#watchVitals(slot), close };
    link.start();
    return { dataPort, adminPort };
  }

  /** Whoever broke the first rule of a slot is told on: by a figure, and by an error in the log. */
  #onChange(): void {
    const { metrics, log } = this.#options;
    const residents = this.#running?.slot.residents() ?? 0;
    if (residents > 1) {
      metrics.count('agentDoubleResidence', {});
      const rungs = this.#running?.slot.report().map(({ revision, rung }) => `${revision} ${rung}`);
      log.error({ residents, rungs: rungs?.join(', ') }, 'two instances hold the accelerator at once');
    }
    this.#running?.reporter.touch();
  }

  #startReporter(): Reporter {
    const { reportWithinMs, reportEveryMs } = this.#limits;
    return createReporter({
      send: () => this.#report(),
      withinMs: reportWithinMs,
      everyMs: reportEveryMs,
      clock: this.#options.clock,
    });
  }

  async stop(graceMs: number): Promise<void> {
    const running = this.#running;
    if (running === undefined || this.#isTerminating) return;
    const { clock } = this.#options;
    const beganMs = clock.nowMs();
    this.#isTerminating = true;
    running.vitals.cancel();
    running.slot.lastCalls();
    running.reporter.now();
    await this.#waitForWithdrawal(running, Math.min(graceMs, this.#limits.withdrawMsMax));
    await running.slot.empty(Math.max(0, graceMs - (clock.nowMs() - beganMs)));
    running.reporter.now();
    running.reporter.stop();
    await running.close();
  }

  /** Without a hub, or with nobody served here, nobody will tell: then the refusal of the data path is the barrier. */
  async #waitForWithdrawal({ slot, link }: Running, msMax: number): Promise<void> {
    if (!slot.isServing() || !link.isConnected()) return;
    const deadline = deadlineSignal(this.#options.clock, msMax, {
      reason: new Error('routers did not let go in time'),
    });
    await raceAbort(this.#withdrawn, deadline.signal).catch(() => {});
    deadline.cancel();
  }

  #handlers(): AgentSpokeHandlers {
    return {
      onOpen: () => {
        this.#hasOpened = true;
        this.#running?.reporter.now();
      },
      onMessage: (message) => {
        if (message.type === 'target') this.#obey(message);
        else if (this.#isTerminating) this.#setWithdrawn();
      },
      onClose: () => {},
    };
  }

  #obey(target: Target): void {
    const { epoch, seq } = target;
    const isHigher = epoch > this.#fence.epoch || (epoch === this.#fence.epoch && seq > this.#fence.seq);
    assert(isHigher, 'the link lets only targets through that are newer than the last one');
    this.#running?.slot.obey(target);
    this.#fence = { epoch, seq };
    this.#keys.replace(target.keys);
    this.#running?.reporter.touch();
  }

  #report(): void {
    const running = this.#running;
    if (running === undefined) return;
    const report: AgentReport = {
      type: 'report',
      fence: this.#fence,
      keyVersions: this.#keys.versions(),
      terminating: this.#isTerminating,
      instances: running.slot.report(),
    };
    running.link.send(report);
  }

  #hello(dataPort: number): AgentHello {
    const { podName, podUid, release } = this.#options;
    return {
      type: 'hello',
      role: 'agent',
      name: podName,
      release,
      versions: { min: LINK_VERSION_MIN, max: LINK_VERSION_MAX },
      fence: this.#fence,
      podUid,
      dataPort,
    };
  }

  #missing(): string | undefined {
    if (this.#running === undefined) return 'The data path does not listen yet.';
    return this.#hasOpened ? undefined : 'The hub has not been reached yet.';
  }

  #watchVitals(slot: Slot): Timer {
    let isAsking = false;
    return every(this.#options.clock, this.#limits.vitalsEveryMs, () => {
      if (isAsking) return;
      isAsking = true;
      const done = () => {
        isAsking = false;
      };
      void slot.checkVitals().then(done, done);
    });
  }
}
