// The adapter of the simulated engine: one process per instance that imitates a large model, and the account of the slot's
// simulated accelerator memory, which the processes cannot see. Never decides when an instance sleeps, wakes or stops.
import type { SimLaunch } from '../api/link.ts';
import { renderSimulatedBuild, simulatedSizes } from '../api/simulated-weights.ts';
import { assert } from '../lib/assert.ts';
import type { EngineAdapter, EngineProcess } from '../ports/engine.ts';
import {
  type OwnServer,
  type OwnServerContext,
  PROCESS_DRAIN_MS,
  serverEntry,
  settleOrder,
  spawnOwnServer,
} from './own-server.ts';
import type { SimConfigInput } from './sim/config.ts';
import { createSimLedger, type SimLedger } from './sim-ledger.ts';

const SERVER_ENTRY = serverEntry('./sim/server-process', import.meta.url);
/** Four accelerators of 80 GB: what the figures of the largest profile are for. */
const SLOT_BYTES = 320_000_000_000;

export interface SimAdapterOptions extends OwnServerContext {
  /** Accelerator memory of the slot. */
  readonly slotBytes?: number;
}

export function createSimAdapter(options: SimAdapterOptions): EngineAdapter {
  const ledger = createSimLedger(options.slotBytes ?? SLOT_BYTES);
  return {
    engine: 'Sim',
    survivesSleep: (launch) => launch.sleep !== 'Never',
    async start(instance, launch, signal) {
      assert(launch.engine === 'Sim', 'an adapter is given launches of its own engine');
      const freeBytes = ledger.freeFor(instance);
      const config = (key: string) => configOf(instance, launch, { key, freeBytes });
      const server = await spawnOwnServer({ instance, entry: SERVER_ENTRY, config }, options, signal);
      void server.group.exited.then(() => ledger.drop(instance));
      const { accelerators } = simulatedSizes[launch.simulated.profile];
      return createProcess(server, { instance, accelerators, ledger, clock: options.clock });
    },
  };
}

function configOf(instance: string, launch: SimLaunch, own: { key: string; freeBytes: number }): SimConfigInput {
  const { servedName, contextLength, concurrency, simulated, simulation, sampling } = launch;
  return {
    ...own,
    instance,
    servedName,
    contextLength,
    concurrency,
    simulated,
    drainMs: PROCESS_DRAIN_MS,
    ...(simulation === undefined ? {} : { simulation }),
    ...(sampling === undefined ? {} : { sampling }),
  };
}

interface SimProcessFacts {
  readonly instance: string;
  readonly accelerators: number;
  readonly ledger: SimLedger;
  readonly clock: OwnServerContext['clock'];
}

function createProcess(server: OwnServer, { instance, accelerators, ledger, clock }: SimProcessFacts): EngineProcess {
  const { client, lines, group } = server;
  let heldBytes = 0;
  /** Writes down what the process says that it holds. */
  const account = async (signal: AbortSignal) => {
    const { acceleratorBytes } = await client.health(signal);
    heldBytes = acceleratorBytes ?? 0;
    if (group.isRunning()) ledger.hold(instance, heldBytes);
  };
  return {
    ...server.process,
    async whenLoaded(signal) {
      await lines.whenReady(signal);
      await account(signal);
    },
    async sleep(level, signal) {
      await settleOrder(() => client.sleep(level, signal), 'asleep', { client, clock });
      await account(signal);
    },
    async wake(signal) {
      const facts = { freeBytes: ledger.freeFor(instance) };
      await settleOrder(() => client.wake(signal, facts), 'ready', { client, clock });
      await account(signal);
    },
    memory: async () => ({ ...(await server.process.memory()), acceleratorBytes: heldBytes / accelerators }),
    identity: async (signal) => ({ build: renderSimulatedBuild(await client.build(signal)) }),
  };
}
