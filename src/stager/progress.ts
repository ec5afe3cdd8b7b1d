// How far a download is, for whoever waits for it: over HTTP at the address of the Pod on a cluster, in a file beside the
// download on one machine. Holds two figures and no secret. Whoever reads them trusts neither their form nor their size.
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { Agent, request } from 'undici';
import { z } from 'zod';
import { type Clock, deadlineSignal } from '../lib/clock.ts';
import type { ProgressReader, StagerProgress } from '../ports/stager-progress.ts';

const PROGRESS_PATH = '/progress';
const ANSWER_BYTES_MAX = 1024;
const READ_MS_MAX = 2000;
const WRITE_EVERY_MS = 1000;
const SOCKETS_MAX = 16;

const bytes = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const progressSchema = z
  .object({ doneBytes: bytes, totalBytes: bytes.min(1) })
  .refine(({ doneBytes, totalBytes }) => doneBytes <= totalBytes);

/** Somebody who is told as bytes arrive. */
export interface ProgressTeller {
  tell(doneBytes: number, totalBytes: number): void;
  close(): Promise<void>;
}

export interface ServedProgress extends ProgressTeller {
  readonly port: number;
}

/** `host` unset: every address of the Pod. Rejects when the port is taken. */
export async function serveProgress(at: { readonly port: number; readonly host?: string }): Promise<ServedProgress> {
  let now: StagerProgress | undefined;
  const server = createServer(
    { requestTimeout: 5000, headersTimeout: 5000, maxHeaderSize: 4096 },
    (asked, response) => {
      const isKnown = asked.method === 'GET' && asked.url === PROGRESS_PATH && now !== undefined;
      response.writeHead(isKnown ? 200 : 404, { 'content-type': 'application/json', connection: 'close' });
      response.end(isKnown ? JSON.stringify(now) : undefined);
    },
  );
  server.maxConnections = SOCKETS_MAX;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port: at.port, ...(at.host === undefined ? {} : { host: at.host }) }, () => resolve());
  });
  server.unref();
  return {
    port: (server.address() as AddressInfo).port,
    tell: (doneBytes, totalBytes) => {
      now = { doneBytes, totalBytes };
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Beside the download, and gone when it ends. What cannot be written is not: the download matters more. */
export function writeProgress(folder: string, digest: string, clock: Clock): ProgressTeller {
  const path = progressFile(folder, digest);
  let saidMs = Number.NEGATIVE_INFINITY;
  let writing = Promise.resolve();
  return {
    tell(doneBytes, totalBytes) {
      if (clock.nowMs() - saidMs < WRITE_EVERY_MS) return;
      saidMs = clock.nowMs();
      const text = JSON.stringify({ doneBytes, totalBytes });
      writing = writing.then(() => replaceFile(path, text)).catch(() => {});
    },
    async close() {
      await writing;
      await rm(path, { force: true }).catch(() => {});
    },
  };
}

async function replaceFile(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.next`, text, { mode: 0o644 });
  await rename(`${path}.next`, path);
}

function progressFile(folder: string, digest: string): string {
  return join(folder, '.partial', `${digest}.progress`);
}

export function createFileProgress(folder: string): ProgressReader {
  return {
    async read({ digest }) {
      const path = progressFile(folder, digest);
      const stats = await stat(path).catch(() => undefined);
      if (stats === undefined || stats.size > ANSWER_BYTES_MAX) return undefined;
      return parseProgress(await readFile(path, 'utf8').catch(() => ''));
    },
  };
}

/** At the port that every stager in a Pod was given. */
export function createServedProgress(clock: Clock, port: number): ProgressReader {
  const dispatcher = new Agent({ connections: 1, pipelining: 0, connect: { timeout: READ_MS_MAX } });
  return {
    async read({ pod }, signal) {
      const host = pod.status?.podIP;
      if (host === undefined || host === '') return undefined;
      const origin = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
      const deadline = deadlineSignal(clock, READ_MS_MAX, { reason: new Error('no answer'), parent: signal });
      try {
        const answer = await request(`${origin}${PROGRESS_PATH}`, { dispatcher, signal: deadline.signal });
        return await readAnswer(answer);
      } catch {
        return undefined;
      } finally {
        deadline.cancel();
      }
    },
  };
}

async function readAnswer({
  statusCode,
  body,
}: Awaited<ReturnType<typeof request>>): Promise<StagerProgress | undefined> {
  let text = '';
  for await (const piece of body.setEncoding('utf8')) {
    text += String(piece);
    // Leaving the loop destroys the body.
    if (text.length > ANSWER_BYTES_MAX) return undefined;
  }
  return statusCode === 200 ? parseProgress(text) : undefined;
}

/** Undefined for what is none. */
export function parseProgress(text: string): StagerProgress | undefined {
  try {
    return progressSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
