// Downloads one file in ranges, several at a time, into a file that already has its full size; goes on where an earlier
// process stopped. Every range is checked against what was asked. Falls back to one stream where a source knows no ranges.
import { type FileHandle, open, writeFile } from 'node:fs/promises';
import type { StagedFile } from '../api/file-set.ts';
import { appendChunk, CHUNK_BYTES, type Chunk, listChunks, readChunkLog } from './chunk-log.ts';
import { forEachBounded, type Patience, retry } from './retry.ts';
import { type SourceAnswer, type SourceClient, unreachable } from './source-client.ts';
import { diskError, StageError, shownUrl } from './stage-error.ts';

/** Per file; a few files are downloaded at once. */
const RANGES_MAX = 4;

export interface FetchOptions extends Patience {
  readonly client: SourceClient;
  /** Where the file goes. */
  readonly target: string;
  /** Where its state is kept. */
  readonly logFile: string;
  readonly chunkBytes?: number;
  /** Bytes that arrived now, or that had arrived before. Negative when they have to come again. */
  onBytes(count: number): void;
}

interface Download {
  readonly file: StagedFile;
  readonly handle: FileHandle;
  readonly options: FetchOptions;
  readonly isFirst: boolean;
}

/** Rejects with StageError, or with the reason of `signal`. The content is not verified here. */
export async function fetchFile(file: StagedFile, options: FetchOptions, signal: AbortSignal): Promise<void> {
  const chunkBytes = options.chunkBytes ?? CHUNK_BYTES;
  const about = `${file.sha256} ${file.sizeBytes} ${chunkBytes}`;
  const handle = await openTarget(options.target, file.sizeBytes);
  try {
    const done = await readChunkLog(options.logFile, about);
    if (done.size === 0) await writeFile(options.logFile, `${about}\n`, { mode: 0o600 });
    const chunks = listChunks(file.sizeBytes, chunkBytes);
    for (const { index, begin, end } of chunks) if (done.has(index)) options.onBytes(end - begin);
    const [first, ...rest] = chunks.filter(({ index }) => !done.has(index));
    if (first === undefined) return;
    const download = { file, handle, options, isFirst: false };
    // Shows whether the source knows ranges. Only then may it send everything.
    if ((await fetchChunk({ ...download, isFirst: true }, first, signal)) === 'whole') return;
    const bounds = { parallelMax: RANGES_MAX, signal };
    await forEachBounded(rest, bounds, async (chunk, until) => void (await fetchChunk(download, chunk, until)));
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof StageError ? error : diskError(file.path, error);
  } finally {
    await handle.close();
  }
}

async function openTarget(path: string, sizeBytes: number): Promise<FileHandle> {
  try {
    // Not truncated: it may hold what came before.
    const handle = await open(path, 'a', 0o644).then(async (made) => {
      await made.close();
      return open(path, 'r+');
    });
    await handle.truncate(sizeBytes);
    return handle;
  } catch (error) {
    throw diskError(path, error);
  }
}

/** A cut goes on where it was cut. */
function fetchChunk(download: Download, chunk: Chunk, signal: AbortSignal): Promise<'chunk' | 'whole'> {
  let arrived = 0;
  const { options, file, handle } = download;
  return retry(options, signal, async (onProgress) => {
    const begin = chunk.begin + arrived;
    // All of it may have come before the connection broke.
    if (begin < chunk.end) {
      const range = `bytes=${begin}-${chunk.end - 1}`;
      const answer = await options.client.ask({ url: file.url, headers: { range } }, signal);
      if (answer.status === 200 && download.isFirst) return fetchWhole(download, answer, signal);
      checkRange(answer, { file, begin, end: chunk.end });
      await writeBody(download, { answer, begin, end: chunk.end }, (count) => {
        arrived += count;
        onProgress();
      });
    }
    await handle.datasync();
    await appendChunk(options.logFile, chunk.index);
    return 'chunk';
  });
}

/** The source sent everything. What came before of this file is written once more. */
async function fetchWhole(download: Download, answer: SourceAnswer, signal: AbortSignal): Promise<'whole'> {
  const { file, handle, options } = download;
  const said = answer.headers['content-length'];
  if (typeof said === 'string' && Number(said) !== file.sizeBytes) {
    answer.body.destroy();
    throw sizeMismatch(file, `${said} bytes`);
  }
  let arrived = 0;
  try {
    await writeBody(download, { answer, begin: 0, end: file.sizeBytes }, (count) => {
      arrived += count;
    });
  } catch (error) {
    options.onBytes(-arrived);
    throw error;
  }
  signal.throwIfAborted();
  await handle.datasync();
  const chunks = listChunks(file.sizeBytes, options.chunkBytes);
  for (const { index } of chunks) await appendChunk(options.logFile, index);
  return 'whole';
}

function checkRange(
  { status, headers, body }: SourceAnswer,
  { file, begin, end }: { readonly file: StagedFile; readonly begin: number; readonly end: number },
): void {
  const range = /^bytes ([0-9]{1,16})-([0-9]{1,16})\/([0-9]{1,16}|\*)$/.exec(String(headers['content-range'] ?? ''));
  const [, from, to, total] = range ?? [];
  if (total !== undefined && total !== '*' && Number(total) !== file.sizeBytes) {
    body.destroy();
    throw sizeMismatch(file, `${total} bytes`);
  }
  if (status === 206 && Number(from) === begin && Number(to) === end - 1) return;
  body.destroy();
  const message = `${shownUrl(file.url)} answered another range than the one that was asked for.`;
  throw new StageError('SourceRefused', message, {});
}

function sizeMismatch(file: StagedFile, found: string): StageError {
  const message = `${shownUrl(file.url)} has ${found}, and ${file.sizeBytes} are pinned. The file was changed: pin another version.`;
  return new StageError('SizeMismatch', message);
}

async function writeBody(
  { file, handle, options }: Download,
  { answer, begin, end }: { readonly answer: SourceAnswer; readonly begin: number; readonly end: number },
  onWritten: (count: number) => void,
): Promise<void> {
  let at = begin;
  const pieces = answer.body[Symbol.asyncIterator]();
  for (;;) {
    const piece = await pieces.next().catch((error: unknown) => {
      throw unreachable(new URL(file.url), error);
    });
    if (piece.done === true) break;
    if (at + piece.value.length > end) {
      answer.body.destroy();
      throw sizeMismatch(file, 'more bytes');
    }
    await handle.write(piece.value, 0, piece.value.length, at);
    at += piece.value.length;
    onWritten(piece.value.length);
    options.onBytes(piece.value.length);
  }
  if (at < end) throw unreachable(new URL(file.url), new Error('the answer was cut'));
}
