// Which port the link of `stoker up` gets when any will do: the one of the last run, because the slots that the data folder
// remembers dial it. A slot that dials in vain is only replaced after half a minute.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type DataFolder, writePrivateFile } from './data-folder.ts';

const HOST = '127.0.0.1';

/** The setting, or for 0 the port of the last run when it is free. 0 means: any. */
export async function chooseLinkPort(setting: number, folder: DataFolder): Promise<number> {
  if (setting !== 0) return setting;
  const last = readLast(fileOf(folder));
  return last !== undefined && (await isFree(last)) ? last : 0;
}

export function rememberLinkPort(port: number, folder: DataFolder): void {
  writePrivateFile(fileOf(folder), `${port}\n`);
}

function fileOf(folder: DataFolder): string {
  return join(folder.path, 'link-port');
}

function readLast(path: string): number | undefined {
  try {
    const port = Number(readFileSync(path, 'utf8'));
    return Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined;
  } catch {
    return undefined;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, HOST, () => server.close(() => resolve(true)));
  });
}
