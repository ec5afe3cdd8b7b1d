// Files that people listed themselves, with their digests: at plain addresses or in an S3-compatible store. Only a size that
// was not written is asked for. Never reads a file.
import { FILE_PATH_PATTERN, type FileSet, type StagedFile } from '../api/file-set.ts';
import type { WeightSource } from '../api/weight-sources.ts';
import type { SourceAnswer, SourceClient } from './source-client.ts';
import { StageError, shownUrl } from './stage-error.ts';

interface Written {
  readonly url: string;
  readonly path?: string | undefined;
  readonly sha256: string;
  readonly sizeBytes?: number | undefined;
}

export async function listHttp(
  { files }: NonNullable<WeightSource['http']>,
  client: SourceClient,
  signal: AbortSignal,
): Promise<FileSet> {
  return { source: 'Http', files: await complete(files, client, signal) };
}

export async function listS3(
  { endpoint, bucket, region, files }: NonNullable<WeightSource['s3']>,
  client: SourceClient,
  signal: AbortSignal,
): Promise<FileSet> {
  const base = `${endpoint.replace(/\/+$/, '')}/${bucket}`;
  const written = files.map(({ key, ...file }) => ({
    ...file,
    path: file.path ?? lastPart(key),
    url: `${base}/${key.split('/').map(encodeURIComponent).join('/')}`,
  }));
  return { source: 'S3', region, files: await complete(written, client, signal) };
}

async function complete(files: readonly Written[], client: SourceClient, signal: AbortSignal): Promise<StagedFile[]> {
  const listed: StagedFile[] = [];
  for (const { url, path = lastPart(new URL(url).pathname), sha256, sizeBytes } of files) {
    if (path === undefined || !FILE_PATH_PATTERN.test(path)) {
      throw new StageError(
        'PlanInvalid',
        `The address ${shownUrl(url)} does not end in a name for a file. Set its path.`,
      );
    }
    listed.push({ path, url, sha256, sizeBytes: sizeBytes ?? (await askSize(url, client, signal)) });
  }
  return listed;
}

/** Undefined when it has a % that stands for nothing. */
function lastPart(path: string): string | undefined {
  try {
    return decodeURIComponent(path.slice(path.lastIndexOf('/') + 1));
  } catch {
    return undefined;
  }
}

/** By the first byte and not by HEAD: addresses that are signed for GET answer nothing else. */
async function askSize(url: string, client: SourceClient, signal: AbortSignal): Promise<number> {
  const answer = await client.ask({ url, headers: { range: 'bytes=0-0' } }, signal);
  answer.body.destroy();
  const size = sizeOf(answer);
  if (size !== undefined && Number.isSafeInteger(size) && size > 0) return size;
  throw new StageError('SizeMismatch', `${shownUrl(url)} does not say how large it is. Set sizeBytes of the file.`);
}

function sizeOf({ status, headers }: SourceAnswer): number | undefined {
  const said =
    status === 206 ? /\/([0-9]{1,16})$/.exec(String(headers['content-range']))?.[1] : headers['content-length'];
  return typeof said === 'string' ? Number(said) : undefined;
}
