// One cluster as a person at a terminal has it: kubectl, helm and shell lines of the guides, with its kubeconfig and the
// tools of its version. Starts nothing that goes on running but what `background` returns.
import { delimiter } from 'node:path';
import { fileURLToPath } from 'node:url';
import { delay, systemClock } from '../../src/lib/clock.ts';
import type { RealCluster } from '../support/cluster/real-cluster.ts';
import { runCommand } from '../support/cluster/shell.ts';
import type { Json } from '../support/cluster/test-cluster.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const COMMAND_MS_MAX = 240_000;
const LOOK_EVERY_MS = 250;
const UNTIL_MS_MAX = 120_000;

export interface Site {
  readonly namespace: string;
  /** What it printed; throws with what it said. */
  kubectl(...args: readonly string[]): Promise<string>;
  helm(...args: readonly string[]): Promise<string>;
  /** Lines of a guide, in one shell that ends at the first that fails and takes along what it left running. */
  script(text: string): Promise<string>;
  get(...args: readonly string[]): Promise<Json>;
  list(...args: readonly string[]): Promise<Json[]>;
  /** Looks until the condition holds. Says what was waited for, with what the namespace looks like then. */
  until(condition: () => Promise<boolean>, what: string, msMax?: number): Promise<void>;
}

export function openSite(cluster: RealCluster, namespace: string): Site {
  const env = {
    ...process.env,
    KUBECONFIG: cluster.kubeconfig,
    PATH: [cluster.tools, process.env.PATH ?? ''].join(delimiter),
  };
  const run = (command: readonly string[]) => runCommand(command, { cwd: repository, env, msMax: COMMAND_MS_MAX });
  const kubectl = (...args: readonly string[]) => run(['kubectl', ...args]);
  const site: Site = {
    namespace,
    kubectl,
    helm: (...args) => run(['helm', ...args]),
    script: (text) =>
      run(['bash', '-euo', 'pipefail', '-c', `trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n${text}`]),
    get: async (...args) => JSON.parse(await kubectl('-n', namespace, 'get', ...args, '-o', 'json')),
    list: async (...args) => (await site.get(...args)).items,
    async until(condition, what, msMax = UNTIL_MS_MAX) {
      const endMs = performance.now() + msMax;
      while (!(await condition())) {
        if (performance.now() > endMs)
          throw new Error(`waited ${msMax} ms in vain for: ${what}\n${await picture(site)}`);
        await delay(systemClock, LOOK_EVERY_MS);
      }
    },
  };
  return site;
}

/** For whoever reads a failure: the objects, the last events, and the end of every log. */
export async function picture({ kubectl, namespace }: Site): Promise<string> {
  const looks = [
    ['get', 'pods,pools,models,modelrevisions', '-o', 'wide'],
    ['get', 'events', '--sort-by=.lastTimestamp', '-o', 'custom-columns=R:.reason,O:.involvedObject.name,M:.message'],
    [
      'logs',
      '--all-containers',
      '--prefix',
      '--ignore-errors',
      '--tail=12',
      '-l',
      'app.kubernetes.io/name=stoker',
      '--max-log-requests=20',
    ],
  ];
  const texts = await Promise.all(
    looks.map((args) => kubectl('-n', namespace, ...args).catch((error: unknown) => String(error))),
  );
  return texts.map((text) => text.split('\n').slice(-60).join('\n')).join('\n---\n');
}
