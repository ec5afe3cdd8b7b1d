// When the controller hears what this router wants: at once when somebody waits and nothing is free, soon after any
// other change, and each second in any case. Sends the whole demand each time; what cannot be sent is sent next time.
import { DEMAND_MODELS_MAX, type Demand } from '../../api/link.ts';
import { type Clock, every, type Timer } from '../../lib/clock.ts';

/** Changes are sent together, at most this much later (DESIGN §1: within 100 ms). */
const SOON_MS = 50;
const EVERY_MS = 1000;
/** Between two messages, also urgent ones. */
const GAP_MS = 10;

export interface DemandReporter {
  changed(): void;
  urgent(): void;
  stop(): void;
}

export function createDemandReporter(clock: Clock, send: () => void): DemandReporter {
  let soon: Timer | undefined;
  let stopped = false;
  let sentMs = Number.NEGATIVE_INFINITY;
  const push = () => {
    soon?.cancel();
    soon = undefined;
    sentMs = clock.nowMs();
    if (!stopped) send();
  };
  const pushWithin = (ms: number) => {
    soon?.cancel();
    soon = clock.after(ms, push, { background: true });
  };
  const steady = every(clock, EVERY_MS, push, { background: true });
  return {
    changed() {
      soon ??= clock.after(SOON_MS, push, { background: true });
    },
    urgent() {
      const waitMs = sentMs + GAP_MS - clock.nowMs();
      if (waitMs > 0) pushWithin(waitMs);
      else push();
    },
    stop() {
      stopped = true;
      soon?.cancel();
      steady.cancel();
    },
  };
}

export function renderDemand(models: readonly Demand['models'][number][]): Demand {
  return { type: 'demand', models: models.slice(0, DEMAND_MODELS_MAX) };
}
