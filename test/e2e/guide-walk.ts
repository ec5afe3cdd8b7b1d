// Runs the command blocks of the guides in a cluster, as they are printed, and keeps account: in the end every command has
// been run, or its block stands in the list of those that cannot run here, with the reason.
import assert from 'node:assert/strict';
import { findBlocks, readGuides } from '../support/guide-blocks.ts';
import type { Site } from './site.ts';

export interface GuideWalk {
  /** Runs the one block of the guide that has this text. */
  run(guide: string, text: string): Promise<string>;
  /** `guide: command` of all that was neither run nor excused, and every excuse that excuses nothing. */
  unsettled(): string[];
}

/** What a block says when it needs what this machine does not have. */
const excuses: readonly { readonly text: string; readonly reason: string }[] = [
  { text: 'kind create cluster', reason: 'needs Docker' },
  { text: 'kind delete cluster', reason: 'needs Docker' },
  { text: 'docker build --target stoker -t registry.example.com', reason: 'needs a registry' },
  { text: '--set image.registry=registry.example.com', reason: 'needs a registry; kind.md installs without one' },
  { text: 'httpRoute.enabled=true', reason: 'needs the Gateway API' },
  { text: 'monitoring.serviceMonitor.enabled=true', reason: 'needs the operator of Prometheus' },
];

/** All with command blocks, but for those that need no cluster and have tests of their own. */
export const GUIDES: readonly string[] = [
  ...['kind.md', 'install.md', 'first-model.md', 'upgrade.md', 'uninstall.md'],
  ...['troubleshooting.md', 'gpu-nodes.md'],
];

/** What of this machine the commands may use. */
export interface Places {
  /** Ports of loopback that nothing uses: of the router, and of the administration port of the controller. */
  readonly port: number;
  readonly adminPort: number;
  /** Where they may write. */
  readonly folder: string;
}

/** The same commands, with these places in the stead of those that a person has. */
export function placeHere(text: string, { port, adminPort, folder }: Places): string {
  return text
    .replaceAll(/(?<=\s|127\.0\.0\.1:)8080(?=:8080|\/)/g, String(port))
    .replaceAll(/(?<=\s|127\.0\.0\.1:)8081(?=:8081|\/|\s)/g, String(adminPort))
    .replaceAll(/(?<=[ =])admin-token\b/g, `${folder}/admin-token`)
    .replaceAll('~/.kube/config', '"$KUBECONFIG"');
}

interface Block {
  readonly guide: string;
  readonly text: string;
}

export function walkGuides(site: Site, places: Places): GuideWalk {
  const blocks: Block[] = readGuides()
    .filter(({ name }) => GUIDES.includes(name))
    .flatMap((guide) => findBlocks(guide, 'sh').map((text) => ({ guide: guide.name, text })));
  const done = new Set<string>();
  return {
    async run(guide, text) {
      const found = blocks.filter((block) => block.guide === guide && block.text.includes(text));
      assert.equal(found.length, 1, `${guide} has ${found.length} blocks with: ${text}`);
      const [block] = found;
      assert.ok(block !== undefined);
      for (const line of linesOf(block)) done.add(line);
      return site.script(placeHere(block.text, places));
    },
    unsettled() {
      const isExcused = ({ text }: Block) => excuses.some((excuse) => text.includes(excuse.text));
      const open = blocks
        .filter((block) => !isExcused(block))
        .flatMap((block) => linesOf(block).map((line) => ({ guide: block.guide, line })))
        .filter(({ line }) => !done.has(line));
      const idle = excuses.filter((excuse) => !blocks.some(({ text }) => text.includes(excuse.text)));
      return [
        ...open.map(({ guide, line }) => `${guide}: ${line}`),
        ...idle.map(({ text, reason }) => `no block says "${text}" (${reason})`),
      ];
    },
  };
}

function linesOf({ text }: Block): string[] {
  return text.split('\n').filter((line) => line !== '');
}
