// Where the programs of the cluster tests are: in the folder that STOKER_CLUSTER_TOOLS names, in that of
// KUBEBUILDER_ASSETS (setup-envtest), or in .cache/cluster-tools, where build.ts puts them. Never builds or fetches.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Tool, type ToolSet, toolSets } from './versions.ts';

export const cacheFolder = fileURLToPath(new URL('../../.cache/cluster-tools', import.meta.url));

export interface ToolFolder {
  readonly folder: string;
  readonly missing: readonly Tool[];
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The folder to use. A folder that the environment names is taken as it is, with what it lacks. */
export function findTools(set: ToolSet, environment: Environment): ToolFolder {
  const { STOKER_CLUSTER_TOOLS: named, KUBEBUILDER_ASSETS: assets } = environment;
  if (named) return lookInto(named, set);
  if (assets) {
    const found = lookInto(assets, set);
    // The folder of setup-envtest has no controller manager: it is of use only where somebody added one.
    if (found.missing.length === 0) return found;
  }
  return lookInto(cacheFolder, set);
}

/** The folder, or an Error that says what is missing and what to do. */
export function requireTools(set: ToolSet, environment: Environment): string {
  const { folder, missing } = findTools(set, environment);
  if (missing.length === 0) return folder;
  const remedy = environment.STOKER_CLUSTER_TOOLS
    ? 'Put them there, or unset STOKER_CLUSTER_TOOLS to have them built.'
    : `Build them once with: node scripts/cluster-tools/build.ts ${set}`;
  throw new Error(`${folder} lacks ${missing.join(', ')}. ${remedy}`);
}

/** etcd before 3.6 gives no bookmarks and no streaming lists: tests would fail in ways that say nothing. */
export function refuseOldEtcd(folder: string): void {
  const { stdout } = spawnSync(join(folder, 'etcd'), ['--version'], { encoding: 'utf8' });
  const version = /etcd Version: (\d+)\.(\d+)\.\d+/.exec(stdout ?? '');
  const isOld = Number(version?.[1] ?? 0) * 100 + Number(version?.[2] ?? 0) < 306;
  if (isOld) throw new Error(`${folder}/etcd is older than 3.6 or does not run: it says "${stdout ?? ''}"`);
}

function lookInto(folder: string, set: ToolSet): ToolFolder {
  return { folder, missing: toolSets[set].filter((tool) => !existsSync(join(folder, tool))) };
}
