// The files of a repository of a model hub, at one commit. Large files come with their sha256; small ones, which the hub knows
// only by their git digest, are read once to pin them. Addresses name the commit, so that a branch that moves changes nothing.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { FILE_PATH_PATTERN, FILES_MAX, type FileSet, type StagedFile } from '../api/file-set.ts';
import type { WeightSource } from '../api/weight-sources.ts';
import { parseJson } from '../lib/json-text.ts';
import { readBytes, readText, type SourceClient } from './source-client.ts';
import { StageError } from './stage-error.ts';

const LISTING_BYTES_MAX = 8 * 1024 * 1024;
/** Files that are read for their digest. The hub wants larger ones in its large file store. */
const SMALL_BYTES_MAX = 16 * 1024 * 1024;
const SMALL_TOTAL_BYTES_MAX = 64 * 1024 * 1024;

type Hub = NonNullable<WeightSource['hub']>;

const listingSchema = z.object({
  sha: z.string().regex(/^[0-9a-f]{40}$/),
  siblings: z
    .array(
      z.object({
        rfilename: z.string().min(1).max(1024),
        size: z.int().min(0).optional(),
        lfs: z
          .object({
            sha256: z
              .string()
              .regex(/^[0-9a-f]{64}$/)
              .optional(),
            oid: z.string().optional(),
            size: z.int().min(0),
          })
          .nullish(),
      }),
    )
    .max(20_000),
});
type Listed = z.infer<typeof listingSchema>['siblings'][number];

export async function listHub(hub: Hub, client: SourceClient, signal: AbortSignal): Promise<FileSet> {
  const { repo, revision, endpoint } = hub;
  const base = endpoint.replace(/\/+$/, '');
  const url = `${base}/api/models/${repo}/revision/${encodeURIComponent(revision)}?blobs=true`;
  const listing = listingSchema.safeParse(
    parseJson(await readText(await client.ask({ url }, signal), LISTING_BYTES_MAX)),
  );
  if (!listing.success)
    throw new StageError('SourceRefused', `${base} did not answer with the list of files of ${repo}.`);
  const { sha, siblings } = listing.data;
  const chosen = siblings.filter(({ rfilename }) => isChosen(rfilename, hub.include));
  checkChosen(chosen, hub);
  const files: StagedFile[] = [];
  let readTotal = 0;
  for (const listed of chosen) {
    const address = `${base}/${repo}/resolve/${sha}/${listed.rfilename.split('/').map(encodeURIComponent).join('/')}`;
    const file = pinLarge(listed, address) ?? (await pinSmall(listed, address, { client, signal }));
    if (file === undefined) continue;
    if (listed.lfs == null) readTotal += file.sizeBytes;
    if (readTotal > SMALL_TOTAL_BYTES_MAX) {
      throw new StageError(
        'SourceRefused',
        `${repo} has too many files without a sha256. Choose fewer with hub.include.`,
      );
    }
    files.push(file);
  }
  return { source: 'Hub', files };
}

function checkChosen(chosen: readonly Listed[], { repo, revision, include }: Hub): void {
  if (chosen.length === 0) {
    const which = include === undefined ? '' : ` that hub.include names (${include.join(', ')})`;
    throw new StageError(
      'FilesMissing',
      `${repo} has no file at ${revision}${which}. Correct the patterns or the revision.`,
    );
  }
  if (chosen.length > FILES_MAX) {
    const message = `${repo} has ${chosen.length} files, and at most ${FILES_MAX} are taken. Choose fewer with hub.include.`;
    throw new StageError('PlanInvalid', message);
  }
}

function isChosen(path: string, include: readonly string[] | undefined): boolean {
  if (!FILE_PATH_PATTERN.test(path)) return false;
  if (include === undefined) return !path.toLowerCase().endsWith('.md');
  return include.some((pattern) => matchesPattern(path, pattern));
}

/** `*` stands for any letters, also none. Takes time in proportion to both lengths at most. */
export function matchesPattern(path: string, pattern: string): boolean {
  let [at, in_, star, mark] = [0, 0, -1, 0];
  while (at < path.length) {
    if (pattern[in_] === '*') {
      star = in_++;
      mark = at;
    } else if (in_ < pattern.length && pattern[in_] === path[at]) {
      in_ += 1;
      at += 1;
    } else if (star >= 0) {
      in_ = star + 1;
      mark += 1;
      at = mark;
    } else return false;
  }
  return /^\**$/.test(pattern.slice(in_));
}

function pinLarge({ rfilename, lfs }: Listed, url: string): StagedFile | undefined {
  const sha256 = lfs?.sha256 ?? lfs?.oid;
  if (lfs == null || sha256 === undefined || !/^[0-9a-f]{64}$/.test(sha256) || lfs.size === 0) return undefined;
  return { path: rfilename, url, sizeBytes: lfs.size, sha256 };
}

/** Undefined for an empty file: engines do not miss it. */
async function pinSmall(
  { rfilename }: Listed,
  url: string,
  { client, signal }: { readonly client: SourceClient; readonly signal: AbortSignal },
): Promise<StagedFile | undefined> {
  const bytes = await readBytes(await client.ask({ url }, signal), SMALL_BYTES_MAX);
  if (bytes.length === 0) return undefined;
  return { path: rfilename, url, sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}
