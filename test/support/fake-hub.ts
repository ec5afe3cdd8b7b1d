// The hub as an agent sees it, without a network: takes its reports, pushes targets. For tests of the agent.
import {
  type AgentHello,
  type AgentReport,
  agentReportSchema,
  type InstanceReport,
  type LlamaLaunch,
  type Target,
} from '../../src/api/link.ts';
import type { AgentSpoke, AgentSpokeHandlers } from '../../src/ports/link.ts';
import { until } from './until.ts';

export const slotKey = 'ab'.repeat(32);

export interface FakeHub {
  connect(handlers: AgentSpokeHandlers, hello: () => AgentHello): AgentSpoke;
  readonly reports: AgentReport[];
  hello(): AgentHello | undefined;
  open(): void;
  drop(): void;
  /** Sends the next target. */
  target(instances: Target['instances'], keys?: Target['keys']): void;
  push(target: Target): void;
  withdrawn(): void;
  latest(): AgentReport | undefined;
  instance(revision: string): InstanceReport | undefined;
  /** Waits until the latest report says so of this revision. */
  seen(revision: string, condition: (report: InstanceReport) => boolean, msMax?: number): Promise<InstanceReport>;
}

export function createFakeHub(): FakeHub {
  const reports: AgentReport[] = [];
  let handlers: AgentSpokeHandlers | undefined;
  let sayHello: (() => AgentHello) | undefined;
  let isConnected = false;
  let seq = 0;
  const hub: FakeHub = {
    reports,
    connect(given, hello) {
      handlers = given;
      sayHello = hello;
      return {
        start: () => {},
        async stop() {
          isConnected = false;
        },
        send(message) {
          if (isConnected && message.type === 'report')
            reports.push(agentReportSchema.parse(JSON.parse(JSON.stringify(message))));
          return isConnected;
        },
        isConnected: () => isConnected,
      };
    },
    hello: () => sayHello?.(),
    open() {
      isConnected = true;
      handlers?.onOpen();
    },
    drop() {
      isConnected = false;
      handlers?.onClose('gone');
    },
    target(instances, keys = [{ version: 1, key: slotKey }]) {
      seq += 1;
      hub.push({ type: 'target', epoch: 1, seq, instances, keys });
    },
    push: (target) => handlers?.onMessage(target),
    withdrawn: () => handlers?.onMessage({ type: 'withdrawn', epoch: 1, seq }),
    latest: () => reports.at(-1),
    instance: (revision) => reports.at(-1)?.instances.find((report) => report.revision === revision),
    async seen(revision, condition, msMax = 5000) {
      const met = () => {
        const report = hub.instance(revision);
        return report !== undefined && condition(report);
      };
      await until(met, `${revision}; last report: ${JSON.stringify(hub.instance(revision))}`, msMax);
      return hub.instance(revision)!;
    },
  };
  return hub;
}

export function launchOf(revision: string, changes: Partial<LlamaLaunch> = {}): LlamaLaunch {
  return {
    engine: 'Llama',
    servedName: `served-${revision}`,
    revision,
    weightsPath: 'weights.gguf',
    weightsSizeBytes: 1,
    weightsSha256: 'a'.repeat(64),
    contextLength: 512,
    concurrency: 2,
    sleep: 'Level2',
    drainMs: 1000,
    ...changes,
  };
}

export function wanted(
  revision: string,
  rung: Target['instances'][number]['rung'],
  changes: Partial<LlamaLaunch> = {},
): Target['instances'][number] {
  return { model: `model-${revision}`, revision, rung, launch: launchOf(revision, changes) };
}
