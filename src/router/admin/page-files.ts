// The files of the status page: a closed list, read once, so that no request path ever reaches the disk.
import { readFile } from 'node:fs/promises';

export interface PageFile {
  readonly contentType: string;
  readonly body: Buffer;
}

const folder = new URL('./page/', import.meta.url);
const script = 'text/javascript; charset=utf-8';

/** Request path -> file name and type. */
const files: Readonly<Record<string, readonly [name: string, contentType: string]>> = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/page.css': ['page.css', 'text/css; charset=utf-8'],
  '/page.js': ['page.js', script],
  '/models.js': ['models.js', script],
  '/chat.js': ['chat.js', script],
  '/sse.js': ['sse.js', script],
  '/icon.svg': ['icon.svg', 'image/svg+xml'],
};

/** Reads every file of the page. Rejects when one is missing: the installation is then incomplete. */
export async function readPageFiles(): Promise<ReadonlyMap<string, PageFile>> {
  const read = Object.entries(files).map(
    async ([path, [name, contentType]]): Promise<[string, PageFile]> => [
      path,
      { contentType, body: await readFile(new URL(name, folder)) },
    ],
  );
  return new Map(await Promise.all(read));
}
