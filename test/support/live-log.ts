// One run of the whole controller in memory, on a manual clock, with everything that its planner hears and decides written down:
// three models on two slots, requests that come and go, a router that falls silent, and another controller that takes over.
import { createLivePlanner } from '../../src/controller/live-scaling.ts';
import { recordPlanner } from '../../src/core/plan/pool/planner-log.ts';
import { createRng } from '../../src/lib/rng.ts';
import { createLab, type Lab, type LabRouter } from './controller-lab.ts';

const models = ['one', 'two', 'three'] as const;

/** Lines of the last controller's planner: a planner lives as long as its controller. */
export async function recordLiveRun(seconds = 180): Promise<readonly string[]> {
  let lines: string[] = [];
  const createPlanner = () => {
    lines = [];
    return recordPlanner(createLivePlanner(), (line) => lines.push(line));
  };
  const lab = await createLab({ createPlanner });
  try {
    lab.pool('default', { slots: { min: 2, max: 2 } });
    for (const model of models) lab.model(model, { scaling: { maxAwake: 2, sleepAfterSeconds: 20 } });
    const router = lab.router();
    await lab.pass(200);
    const counters = new Map<string, number>(models.map((model) => [model, 0]));
    await drive({ lab, router, counters }, 20);
    await lab.restart();
    await drive({ lab, router, counters }, seconds);
    return lines;
  } finally {
    await lab.stop();
  }
}

interface Driven {
  readonly lab: Lab;
  readonly router: LabRouter;
  readonly counters: Map<string, number>;
}

/** Each model has seconds with requests and long ones without; the router says nothing for a while in the middle. */
async function drive({ lab, router, counters }: Driven, seconds: number): Promise<void> {
  const rng = createRng(7);
  for (let second = 0; second < seconds; second += 1) {
    const isSilent = second > seconds / 2 && second < seconds / 2 + 12;
    const rows = models.map((model) => {
      const arrived = rng.next() < 0.2 ? Math.ceil(rng.next() * 20) : 0;
      const arrivals = (counters.get(model) ?? 0) + arrived;
      counters.set(model, arrivals);
      const queued = Math.floor(arrived / 2);
      const steps = arrived > 0 ? [{ sequences: arrived, promptTokens: 0, stepMs: 20 + arrived }] : [];
      const answeredTokens = new Array<number>(Math.min(64, arrived)).fill(120);
      return {
        ...{ model, queued, queuedTokens: queued * 700, waitingTokens: new Array<number>(queued).fill(700) },
        ...{ inFlight: arrived - queued, arrivals, arrivedTokens: arrivals * 700, steps, answeredTokens },
      };
    });
    if (isSilent) router.silence();
    else router.demand(rows);
    await lab.pass(1000);
  }
}
