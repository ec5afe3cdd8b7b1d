// What the controller is composed of. Everything outside comes in here: Kubernetes, the hub, the engine's files, time.
import type { OwnEngine } from '../api/link.ts';
import type { SimulatedWeights } from '../api/simulated-weights.ts';
import type { ClimbTimes } from '../core/plan/climb.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Rng } from '../lib/rng.ts';
import type { Cluster } from '../ports/cluster.ts';
import type { Hub, HubHandlers } from '../ports/link.ts';
import type { WeightsResolver } from '../ports/weights.ts';
import type { Metrics } from '../telemetry/metrics.ts';

export interface ControllerOptions {
  readonly cluster: Cluster;
  createHub(handlers: HubHandlers): Hub;
  readonly weights: WeightsResolver;
  /** What a pin records of each engine, for example builtin:<hash>. */
  readonly engineBuilds: Readonly<Record<OwnEngine, string>>;
  /** The first guess of how long simulated weights climb, at the speed of life. */
  simulatedClimb(simulated: SimulatedWeights): Required<ClimbTimes>;
  /** Higher than that of every controller before. */
  readonly epoch: number;
  /** The address that agents are told, from the port that the hub got. */
  linkUrlForSlots(port: number): string;
  readonly routerUsername: string;
  readonly slotServiceAccount: string;
  readonly release: string;
  /** What `stoker explain` has to show. */
  readonly adminToken: string;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
}
