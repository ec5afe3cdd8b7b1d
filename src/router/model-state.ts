// What the router knows about one model right now, for the administration port and for holds: warmth as the controller
// last said it, and this router's own figures. A reading, never a decision.
import type { ModelWarmth, Rung } from '../api/link.ts';

export interface ModelState {
  readonly model: string;
  readonly servedName: string;
  readonly rung: Rung;
  /** Expected time until a request that comes now is served; 0 when an instance is awake or nothing is known. */
  readonly etaMs: number;
  /** Requests held or queued in this router. */
  readonly queued: number;
  /** Requests of this router that are at an instance. */
  readonly inFlight: number;
  /** Instances that this router may send requests to. */
  readonly awake: number;
  /** Why it cannot be served now, when that is known. */
  readonly failure?: NonNullable<ModelWarmth['failure']>;
}
