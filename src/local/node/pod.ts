// One Pod on this node, from its place to its end: volumes, containers, status, and at last its object. Owns the Pod's
// folder and every process that carries its uid; knows nothing of other Pods.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { ContainerSpec, Pod } from '../../api/kinds.ts';
import { backoffDelayMs } from '../../lib/backoff.ts';
import { type Clock, delay } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { fail, type Result } from '../../lib/result.ts';
import type { Rng } from '../../lib/rng.ts';
import { API_BACKOFF, GRACE_SECONDS_DEFAULT, ORPHAN_GRACE_MS } from './bounds.ts';
import { type Command, type CommandPolicy, chooseCommand } from './command.ts';
import { Container } from './container.ts';
import { resolveEnvironment } from './environment.ts';
import type { NodeApi, PodRef, PodStatusPatch } from './node-api.ts';
import { type ContainerFolder, isMountPath, isPathName, makeContainerFolder, podsFolder } from './pod-folder.ts';
import { type PodEnd, renderStatus, type Terminated } from './pod-status.ts';
import { CONTAINER_VARIABLE, POD_UID_VARIABLE, sweepProcesses } from './processes.ts';
import type { StatusPublisher } from './status-publisher.ts';
import { type FreshToken, fillVolumes, keepFresh, refuseVolumes, type TokenContext } from './token-volumes.ts';

export interface PodContext {
  readonly api: NodeApi;
  readonly dataDir: string;
  readonly policy: CommandPolicy;
  /** Variables that every container gets; the Pod's own go first. */
  readonly environment: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
}

/** Every Pod of one machine has its address. */
const POD_IP = '127.0.0.1';

/** The exit code of what was killed: 128 and the number of SIGKILL. */
const KILLED_CODE = 137;

/** Why the Pod ends: its object is being deleted, its object is gone, or the node stops and keeps the object. */
type Ending = 'Deleted' | 'Gone' | 'NodeStops';

export class RunningPod {
  readonly ref: PodRef;
  /** Resolves when nothing of the Pod runs any more. */
  readonly idle: Promise<void>;
  readonly #pod: Pod;
  readonly #context: PodContext;
  readonly #folder: string;
  readonly #publisher: StatusPublisher;
  readonly #stopping = new AbortController();
  /** Tokens are kept fresh while containers drain, too. */
  readonly #untilEnd = new AbortController();
  readonly #givenUp = new AbortController();
  #becomeIdle: () => void = () => {};
  readonly #startTime: string;
  #containers: readonly Container[] = [];
  #ending: Ending | undefined;
  #end: PodEnd | undefined;
  #waitingFor: string | undefined;
  /** What was said last: a condition keeps its time while its status stays. */
  #conditions: NonNullable<PodStatusPatch['conditions']>;

  constructor(pod: Pod, publisher: StatusPublisher, context: PodContext) {
    this.#pod = pod;
    this.ref = publisher.ref;
    this.#context = context;
    this.#folder = join(podsFolder(context.dataDir), publisher.ref.uid);
    this.#publisher = publisher;
    this.idle = new Promise((resolve) => {
      this.#becomeIdle = resolve;
    });
    this.#conditions = pod.status?.conditions ?? [];
    this.#startTime = pod.status?.startTime ?? this.#now();
  }

  /** Resolves when nothing of the Pod runs any more and its last status or its removal has arrived. Never rejects. */
  async run(): Promise<void> {
    const { log } = this.#context;
    try {
      await this.#runContainers();
    } catch (error) {
      log.error({ pod: this.ref.name, error: String(error) }, 'a Pod failed on this node');
      this.#end = { phase: 'Failed', reason: 'NodeError', message: `The node failed to run the Pod: ${String(error)}` };
    }
    await sweepProcesses({ podUid: this.ref.uid }, this.#context.clock);
    this.#becomeIdle();
    await this.#finish();
  }

  /** Ends the Pod. A later call can shorten the grace, and a removal outranks a stop of the node. */
  end(ending: Ending, graceMs: number): void {
    this.#ending = this.#ending === undefined || ending !== 'NodeStops' ? ending : this.#ending;
    this.#stopping.abort(new Error('the Pod is being ended'));
    if (ending === 'Gone') this.#publisher.stop();
    for (const container of this.#containers) container.end(graceMs);
  }

  /** Takes in a newer state of the object: only its deletion matters, for all else is immutable. */
  observe(pod: Pod): void {
    if (pod.metadata.deletionTimestamp !== undefined) this.end('Deleted', graceMsOf(pod));
  }

  async #runContainers(): Promise<void> {
    const commands = this.#check();
    if (!commands.ok) {
      this.#end = commands.error;
      return;
    }
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    this.#publish();
    const tokens = await this.#fillVolumes();
    if (tokens === undefined) return;
    const fresh = tokens.map((token) => keepFresh(this.#tokenContext(), token, this.#untilEnd.signal));
    this.#containers = this.#pod.spec.containers.map((spec, at) => this.#makeContainer(spec, commands.value[at]));
    this.#publish();
    await Promise.all(this.#containers.map((container) => container.run()));
    this.#untilEnd.abort();
    await Promise.all(fresh);
    if (this.#ending === undefined) this.#end = endOf(this.#containers);
  }

  #check(): Result<readonly Command[], PodEnd> {
    const commands: Command[] = [];
    for (const container of this.#pod.spec.containers) {
      const command = chooseCommand(container, this.#context.policy);
      if (!command.ok) return fail({ phase: 'Failed', reason: 'CommandNotAllowed', message: command.error });
      commands.push(command.value);
    }
    const sentence = refuseVolumes(this.#pod) ?? refuseContainers(this.#pod);
    if (sentence !== undefined) return fail({ phase: 'Failed', reason: 'NotSupported', message: sentence });
    if (this.#pod.spec.restartPolicy === 'Never' && hasRunBefore(this.#pod)) {
      const message = 'The node stopped while the Pod ran, and its restartPolicy is Never.';
      return fail({ phase: 'Failed', reason: 'NodeRestarted', message });
    }
    return { ok: true, value: commands };
  }

  /** Tries until every token is there; undefined when the Pod is being ended. */
  async #fillVolumes(): Promise<readonly FreshToken[] | undefined> {
    const { clock, rng } = this.#context;
    const { signal } = this.#stopping;
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      const filled = await fillVolumes(this.#tokenContext(), signal);
      if (filled.ok) {
        this.#waitingFor = undefined;
        return signal.aborted ? undefined : filled.value;
      }
      this.#waitingFor = filled.error;
      this.#publish();
      await delay(clock, backoffDelayMs({ ...API_BACKOFF, attempt, rng }), signal).catch(() => undefined);
    }
    return undefined;
  }

  #tokenContext(): TokenContext {
    return { ...this.#context, ref: this.ref, pod: this.#pod, folder: this.#folder };
  }

  #makeContainer(spec: ContainerSpec, command: Command | undefined): Container {
    if (command === undefined) throw new Error(`container ${spec.name} has no command`);
    const { clock, rng, log } = this.#context;
    const folder = makeContainerFolder(this.#folder, spec.name, spec.volumeMounts ?? []);
    return new Container({
      spec,
      podUid: this.ref.uid,
      podIp: POD_IP,
      command,
      folder,
      restartPolicy: this.#pod.spec.restartPolicy ?? 'Always',
      before: historyOf(this.#pod, spec.name, this.#now()),
      environment: () => this.#environmentOf(spec, folder),
      onChange: () => this.#publish(),
      clock,
      rng,
      log,
    });
  }

  async #environmentOf(spec: ContainerSpec, folder: ContainerFolder): Promise<Result<Record<string, string>, string>> {
    // A container that starts again listens on other ports; the old ones would pass for them.
    rmSync(folder.portsFile, { force: true });
    const own = await resolveEnvironment(spec.env ?? [], {
      pod: this.#pod,
      podIp: POD_IP,
      readSecret: (name) => this.#readSecret(name),
    });
    if (!own.ok) return own;
    return {
      ok: true,
      value: {
        ...this.#context.environment,
        STOKER_BIND_HOST: POD_IP,
        STOKER_DATA_PORT: '0',
        STOKER_ADMIN_PORT: '0',
        STOKER_DATA_DIR: folder.dataDir,
        ...own.value,
        STOKER_MOUNT_ROOT: folder.mountRoot,
        STOKER_PORTS_FILE: folder.portsFile,
        STOKER_PARENT_PIPE: '1',
        [POD_UID_VARIABLE]: this.ref.uid,
        [CONTAINER_VARIABLE]: spec.name,
      },
    };
  }

  async #readSecret(name: string) {
    const answer = await this.#context.api.readSecret(this.ref.namespace, name, this.#stopping.signal);
    return answer.ok ? answer : fail(answer.error.message);
  }

  /** Nothing runs any more: says so, or takes the object away. */
  async #finish(): Promise<void> {
    if (this.#ending === 'Gone') {
      this.#removeFolder();
      return;
    }
    this.#publish();
    await this.#publisher.flushed();
    // Looked at again, because it may have been deleted while its last status was on its way.
    if (this.#ending === 'Deleted') {
      await removeObject(this.ref, this.#context, this.#givenUp.signal);
      this.#removeFolder();
    }
  }

  /** Gives up what the API has not taken: the last status, or the removal. */
  giveUp(): void {
    this.#publisher.stop();
    this.#givenUp.abort(new Error('the node stops'));
  }

  #removeFolder(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #publish(): void {
    const containers = this.#containers.map((container) => container.state);
    const facts = {
      podIp: POD_IP,
      startTime: this.#startTime,
      containers,
      end: this.#end,
      waitingFor: this.#waitingFor,
    };
    const status = renderStatus(facts, this.#conditions, this.#now());
    this.#conditions = status.conditions ?? [];
    this.#publisher.publish(status);
  }

  #now(): string {
    return new Date(this.#context.clock.wallMs()).toISOString().replace(/\.\d+Z$/, 'Z');
  }
}

/** The grace that the deletion of this Pod asks for, in milliseconds. */
export function graceMsOf(pod: Pod): number {
  const seconds = pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds;
  return 1000 * Math.max(0, seconds ?? GRACE_SECONDS_DEFAULT);
}

/** The grace of a Pod whose object is gone without having been deleted in order. */
export const orphanGraceMs = ORPHAN_GRACE_MS;

/** Tries until the object is gone or another one has its name. */
export async function removeObject(ref: PodRef, context: PodContext, until: AbortSignal): Promise<void> {
  const { api, clock, rng, log } = context;
  for (let attempt = 0; !until.aborted; attempt += 1) {
    const answer = await api.removePod(ref, until);
    if (answer.ok || answer.error.reason === 'NotFound' || answer.error.reason === 'Conflict') return;
    if (attempt === 3)
      log.warn({ pod: ref.name, error: answer.error.message }, 'a Pod that has ended cannot be removed yet');
    await delay(clock, backoffDelayMs({ ...API_BACKOFF, attempt, rng }), until).catch(() => undefined);
  }
}

function refuseContainers(pod: Pod): string | undefined {
  if ('initContainers' in pod.spec) return 'The local node runs no initContainers.';
  const volumes = new Set((pod.spec.volumes ?? []).map((volume) => volume.name));
  for (const { name, volumeMounts } of pod.spec.containers) {
    if (!isPathName(name)) return `${JSON.stringify(name)} is no name of a container.`;
    for (const mount of volumeMounts ?? []) {
      if (!volumes.has(mount.name))
        return `Container ${name} mounts the volume ${mount.name}, which the Pod does not have.`;
      if (!isMountPath(mount.mountPath))
        return `Container ${name} cannot mount a volume at ${JSON.stringify(mount.mountPath)}.`;
    }
  }
  return undefined;
}

function hasRunBefore(pod: Pod): boolean {
  return (pod.status?.containerStatuses ?? []).some(({ state }) => state !== undefined && !('waiting' in state));
}

/** What an earlier node wrote about the container: it runs no more, for that node is gone. */
function historyOf(pod: Pod, name: string, now: string): { restartCount: number; lastState: Terminated | undefined } {
  const before = pod.status?.containerStatuses?.find((status) => status.name === name);
  if (before === undefined) return { restartCount: 0, lastState: undefined };
  const hasRun = before.state !== undefined && !('waiting' in before.state);
  if (!hasRun) return { restartCount: before.restartCount, lastState: undefined };
  return {
    restartCount: before.restartCount + 1,
    lastState: { exitCode: KILLED_CODE, reason: 'NodeRestarted', finishedAt: now },
  };
}

function endOf(containers: readonly Container[]): PodEnd {
  const failed = containers.some(({ state: { state } }) => !('terminated' in state) || state.terminated.exitCode !== 0);
  return { phase: failed ? 'Failed' : 'Succeeded' };
}
