// The local node: a kubelet for one machine that runs Pods as child processes. Takes every Pod that no other node has, as
// long as it fits; ends what an earlier node left; leaves no process behind. Never creates or changes a Pod's spec.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Pod } from '../../api/kinds.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { Rng } from '../../lib/rng.ts';
import { PODS_MAX, STOP_GRACE_MS_MAX } from './bounds.ts';
import { type Amounts, parseCapacity, podRequests, refuseFit } from './capacity.ts';
import type { Command } from './command.ts';
import type { NodeApi, PodRef } from './node-api.ts';
import { graceMsOf, orphanGraceMs, type PodContext, RunningPod, removeObject } from './pod.ts';
import { isPathName, listPodFolders, podsFolder, readLeaders } from './pod-folder.ts';
import { renderUnschedulable } from './pod-status.ts';
import { sweepProcesses } from './processes.ts';
import { createStatusPublisher, type StatusPublisher } from './status-publisher.ts';

export interface LocalNodeOptions {
  readonly api: NodeApi;
  /** Pods that name another node are left alone. */
  readonly nodeName: string;
  readonly dataDir: string;
  /** Kubernetes quantities by resource: cpu, memory, stoker.dev/cpu. */
  readonly capacity: Readonly<Record<string, string>>;
  /** How `stoker` is run on this machine. */
  readonly entryPoint: Command;
  /** Run any command that a Pod names, not only Stoker's own. */
  readonly allowCommands: boolean;
  /** Variables of every container beside PATH and LANG; nothing else of the node's own environment reaches them. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
}

export interface LocalNode {
  /** Ends what an earlier node left, then follows the Pods. Resolves once it does. */
  start(): Promise<void>;
  /** Ends every Pod within its grace, at most 10 s; the objects stay. Resolves when no process is left. */
  stop(): Promise<void>;
}

export function createLocalNode(options: LocalNodeOptions): LocalNode {
  return new Node(options);
}

interface Placed {
  readonly pod: RunningPod;
  readonly requests: Amounts;
  readonly graceMs: number;
  readonly ended: Promise<void>;
}

interface Waiting {
  readonly pod: Pod;
  readonly publisher: StatusPublisher;
}

const baseEnvironment = { PATH: '/usr/local/bin:/usr/bin:/bin', LANG: 'C.UTF-8' } as const;
/** How long the last statuses may take to arrive when the node stops. */
const LAST_STATUS_MS_MAX = 500;

class Node implements LocalNode {
  readonly #options: LocalNodeOptions;
  readonly #context: PodContext;
  readonly #capacity: Amounts;
  readonly #stopping = new AbortController();
  readonly #placed = new Map<string, Placed>();
  readonly #waiting = new Map<string, Waiting>();
  /** Pods that have ended and whose object is still there: an old event must not start them again. */
  readonly #ended = new Set<string>();
  /** Removals of objects that are on their way. */
  readonly #removals = new Map<string, Promise<void>>();
  #following: Promise<void> = Promise.resolve();

  constructor(options: LocalNodeOptions) {
    this.#options = options;
    const { entryPoint, allowCommands, environment } = options;
    this.#context = {
      ...options,
      policy: { entryPoint, allowCommands },
      environment: { ...baseEnvironment, ...environment },
    };
    this.#capacity = parseCapacity(options.capacity);
  }

  async start(): Promise<void> {
    mkdirSync(podsFolder(this.#options.dataDir), { recursive: true, mode: 0o700 });
    await this.#endStale();
    this.#following = this.#options.api.followPods(
      {
        onList: (pods) => this.#onList(pods),
        onPod: (pod) => this.#onPod(pod),
        onGone: (pod) => this.#onGone(pod.metadata.uid ?? ''),
      },
      this.#stopping.signal,
    );
  }

  async stop(): Promise<void> {
    const { api, clock } = this.#options;
    this.#stopping.abort(new Error('the node stops'));
    const placed = [...this.#placed.values()];
    for (const { publisher } of this.#waiting.values()) publisher.stop();
    for (const { pod, graceMs } of placed) pod.end('NodeStops', Math.min(graceMs, STOP_GRACE_MS_MAX));
    await Promise.all(placed.map(({ pod }) => pod.idle));
    const late = clock.after(LAST_STATUS_MS_MAX, () => {
      for (const { pod } of placed) pod.giveUp();
    });
    await Promise.all(placed.map(({ ended }) => ended));
    late.cancel();
    await Promise.all([this.#following, ...this.#removals.values()]);
    await api.close();
  }

  /** Ends the processes of Pods that an earlier node ran and did not end: it was killed, or crashed. */
  async #endStale(): Promise<void> {
    const { dataDir, clock, log } = this.#options;
    for (const podUid of listPodFolders(dataDir)) {
      const leaders = readLeaders(join(podsFolder(dataDir), podUid));
      if (leaders.length > 0) log.warn({ podUid }, 'processes of an earlier node may be left and are ended');
      await sweepProcesses({ podUid }, clock);
      for (const leader of leaders) await sweepProcesses({ podUid, leader }, clock);
    }
  }

  #onList(pods: readonly Pod[]): void {
    const known = new Set(pods.map((pod) => pod.metadata.uid ?? ''));
    const mine = [
      ...this.#placed.keys(),
      ...this.#waiting.keys(),
      ...this.#ended,
      ...listPodFolders(this.#options.dataDir),
    ];
    for (const uid of mine) if (!known.has(uid)) this.#onGone(uid);
    for (const pod of pods) this.#onPod(pod);
  }

  #onPod(pod: Pod): void {
    const { uid = '', namespace = 'default', name, deletionTimestamp } = pod.metadata;
    if (this.#stopping.signal.aborted || !isPathName(uid)) return;
    const node = pod.spec.nodeName;
    if (node !== undefined && node !== '' && node !== this.#options.nodeName) return;
    const placed = this.#placed.get(uid);
    if (placed !== undefined) placed.pod.observe(pod);
    else if (deletionTimestamp !== undefined) this.#remove({ uid, namespace, name });
    else if (!this.#ended.has(uid) && !hasEnded(pod)) this.#queue(pod, { uid, namespace, name });
  }

  #onGone(uid: string): void {
    this.#placed.get(uid)?.pod.end('Gone', orphanGraceMs);
    this.#waiting.get(uid)?.publisher.stop();
    this.#waiting.delete(uid);
    this.#ended.delete(uid);
    if (!this.#placed.has(uid) && isPathName(uid)) {
      rmSync(join(podsFolder(this.#options.dataDir), uid), { recursive: true, force: true });
    }
  }

  #queue(pod: Pod, ref: PodRef): void {
    const publisher = this.#waiting.get(ref.uid)?.publisher ?? createStatusPublisher({ ref, ...this.#options });
    this.#waiting.set(ref.uid, { pod, publisher });
    this.#place();
  }

  /** Gives every waiting Pod that fits its place, oldest first; a large one that waits does not hold up a small one. */
  #place(): void {
    const waiting = [...this.#waiting.values()].sort((a, b) => ageOrder(a.pod, b.pod));
    for (const { pod, publisher } of waiting) {
      const requests = podRequests(pod);
      const refusal = requests.ok ? this.#refuse(requests.value) : requests.error;
      if (requests.ok && refusal === undefined) {
        this.#waiting.delete(publisher.ref.uid);
        this.#run(pod, publisher, requests.value);
      } else publisher.publish(renderUnschedulable(pod, refusal ?? '', this.#now()));
    }
  }

  #refuse(requests: Amounts): string | undefined {
    if (this.#placed.size >= PODS_MAX) return `The node runs ${PODS_MAX} Pods already, and no more than that.`;
    return refuseFit(
      this.#capacity,
      [...this.#placed.values()].map((placed) => placed.requests),
      requests,
    );
  }

  #run(pod: Pod, publisher: StatusPublisher, requests: Amounts): void {
    const { ref } = publisher;
    const running = new RunningPod(pod, publisher, this.#context);
    this.#options.log.info({ pod: ref.name, podUid: ref.uid }, 'a Pod starts');
    const ended = running.run().finally(() => {
      this.#placed.delete(ref.uid);
      this.#ended.add(ref.uid);
      this.#options.log.info({ pod: ref.name, podUid: ref.uid }, 'a Pod has ended');
      if (!this.#stopping.signal.aborted) this.#place();
    });
    this.#placed.set(ref.uid, { pod: running, requests, graceMs: graceMsOf(pod), ended });
  }

  /** A Pod that does not run here is removed at once. */
  #remove(ref: PodRef): void {
    this.#waiting.get(ref.uid)?.publisher.stop();
    this.#waiting.delete(ref.uid);
    if (this.#removals.has(ref.uid)) return;
    const removal = removeObject(ref, this.#context, this.#stopping.signal).finally(() =>
      this.#removals.delete(ref.uid),
    );
    this.#removals.set(ref.uid, removal);
  }

  #now(): string {
    return new Date(this.#options.clock.wallMs()).toISOString().replace(/\.\d+Z$/, 'Z');
  }
}

function hasEnded(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

function ageOrder(a: Pod, b: Pod): number {
  const byTime = (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? '');
  return byTime === 0 ? a.metadata.name.localeCompare(b.metadata.name) : byTime;
}
