// The simulated router: one queue for each model in order of arrival, from which replicas pull when they have room.
// Owns what waits. Never gives a request to a replica that would make it wait behind more than one step of prompts.
import type { SimRequest } from './request.ts';
import type { SimInstance } from './slot.ts';

export interface Gateway {
  /** True when nothing took it at once. */
  arrive(request: SimRequest): boolean;
  /** It lost its engine: it goes before all others. */
  giveBack(requests: readonly SimRequest[]): void;
  /** Something of this model may have room. */
  offer(model: string): void;
  join(instance: SimInstance): void;
  leave(instance: SimInstance): void;
  queueOf(model: string): readonly SimRequest[];
  hasWaiting(): boolean;
}

interface Line {
  waiting: SimRequest[];
  /** Those before it have gone. */
  head: number;
  readonly instances: Set<SimInstance>;
}

/** Gone requests that are kept in the list before it is cut. */
const HEAD_MAX = 1024;

export function createGateway(onTaken: (request: SimRequest, instance: SimInstance) => void): Gateway {
  const lines = new Map<string, Line>();
  const lineOf = (model: string): Line => {
    const line = lines.get(model) ?? { waiting: [], head: 0, instances: new Set() };
    lines.set(model, line);
    return line;
  };
  const offer = (model: string) => {
    const line = lineOf(model);
    for (let request = line.waiting[line.head]; request !== undefined; request = line.waiting[line.head]) {
      const instance = pick(line.instances, request);
      if (instance === undefined) return;
      line.head += 1;
      if (line.head > HEAD_MAX) cut(line);
      onTaken(request, instance);
      instance.replica?.take(request);
    }
  };
  return {
    arrive(request) {
      const line = lineOf(request.model);
      line.waiting.push(request);
      offer(request.model);
      return line.head < line.waiting.length;
    },
    giveBack(requests) {
      for (const request of [...requests].sort((a, b) => b.atMs - a.atMs)) {
        const line = lineOf(request.model);
        cut(line);
        line.waiting.unshift(request);
      }
      for (const model of new Set(requests.map((request) => request.model))) offer(model);
    },
    offer,
    join: (instance) => void lineOf(instance.model).instances.add(instance),
    leave: (instance) => void lineOf(instance.model).instances.delete(instance),
    hasWaiting: () => [...lines.values()].some((line) => line.head < line.waiting.length),
    queueOf(model) {
      const line = lineOf(model);
      cut(line);
      return line.waiting;
    },
  };
}

function cut(line: Line): void {
  if (line.head === 0) return;
  line.waiting = line.waiting.slice(line.head);
  line.head = 0;
}

/** Of those with room, the one with the least of prompts before it, then the least busy (src/core/route/endpoint-pick.ts). */
function pick(instances: Iterable<SimInstance>, request: SimRequest): SimInstance | undefined {
  let best: SimInstance | undefined;
  for (const instance of instances) {
    const { replica } = instance;
    if (replica === undefined || !replica.canTake(request)) continue;
    const other = best?.replica;
    const isBetter =
      other === undefined ||
      replica.unreadTokens < other.unreadTokens ||
      (replica.unreadTokens === other.unreadTokens && replica.inFlight < other.inFlight);
    if (isBetter) best = instance;
  }
  return best;
}
