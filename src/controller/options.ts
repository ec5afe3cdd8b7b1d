// What the controller is composed of. Everything outside comes in here: Kubernetes, the hub, the engine's files, time.
import type { OwnEngine } from '../api/link.ts';
import type { SimulatedWeights } from '../api/simulated-weights.ts';
import type { ClimbTimes } from '../core/plan/climb.ts';
import type { FleetPlanner } from '../core/plan/pool/fleet-planner.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Rng } from '../lib/rng.ts';
import type { Cluster } from '../ports/cluster.ts';
import type { ImageResolver } from '../ports/images.ts';
import type { Hub, HubHandlers } from '../ports/link.ts';
import type { ProgressReader } from '../ports/stager-progress.ts';
import type { SourceResolver, WeightsResolver } from '../ports/weights.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { SlotPods } from './slot-pod.ts';

export interface ControllerOptions {
  readonly cluster: Cluster;
  createHub(handlers: HubHandlers): Hub;
  readonly weights: WeightsResolver;
  /** Asks the sources that weights are downloaded from. */
  readonly sources: SourceResolver;
  /** Asks registries which image a tag leads to. */
  readonly images: ImageResolver;
  /** Asks stagers how far they are. */
  readonly progress: ProgressReader;
  /** Set in local mode: where every process of this machine finds downloaded weights. */
  readonly localWeightsFolder?: string | undefined;
  /** Whether Pools may keep weights in a folder of the node. */
  readonly allowsHostPath?: boolean | undefined;
  /** What a pin records of each engine, for example builtin:<hash>. */
  readonly engineBuilds: Readonly<Record<OwnEngine, string>>;
  /** Whether engines that are not ours may be started on the one machine there is, as they are installed there. */
  readonly allowsInstalledEngines?: boolean | undefined;
  /** The first guess of how long simulated weights climb, at the speed of life. */
  simulatedClimb(simulated: SimulatedWeights): Required<ClimbTimes>;
  /** Higher than that of every controller before. */
  readonly epoch: number;
  /** The address that agents are told, from the port that the hub got. */
  linkUrlForSlots(port: number): string;
  /** How slots are made on a cluster; undefined on one machine. */
  readonly slotPods?: SlotPods | undefined;
  readonly routerUsername: string;
  readonly slotServiceAccount: string;
  /** Holds the authority that slots trust; undefined while the link is plain, on loopback. */
  readonly linkCaConfigMap?: string | undefined;
  /** After this time slots move to new keys. */
  readonly slotKeyRotationMs: number;
  /** Decides what should be awake. Missing: the product's own; comparisons and recordings bring another one. */
  readonly planner?: FleetPlanner | undefined;
  /** Its start waits for something that was not to be had, and tries again. */
  onStartTrouble?(sentence: string): void;
  readonly release: string;
  /** What `stoker explain` has to show. */
  readonly adminToken: string;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
}
