// The command blocks of a guide: what stands between ```sh and ```, one command a line. Reads docs/guides and nothing else.
import { readdirSync, readFileSync } from 'node:fs';

export interface Guide {
  /** File name in docs/guides. */
  readonly name: string;
  readonly text: string;
}

const folder = new URL('../../docs/guides/', import.meta.url);

export function readGuides(): Guide[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.md'))
    .map((name) => ({ name, text: readFileSync(new URL(name, folder), 'utf8') }));
}

/** The blocks of one language, in order. */
export function findBlocks(guide: Guide, language: string): string[] {
  return [...guide.text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(
    ([, body = '']) => body,
  );
}

export function findCommands(guide: Guide): string[] {
  return findBlocks(guide, 'sh').flatMap((body) => body.split('\n').filter((line) => line !== ''));
}
