// From what people wrote to the files that are pinned, by asking the source, and what their config.json says. Composes the
// listings; owns the connections of one resolution. Tries nothing twice: whoever asks comes again.
import { createHash } from 'node:crypto';
import { type FileSet, findClash, PLAN_CHARS_MAX, type SourceKind } from '../api/file-set.ts';
import { CONFIG_BYTES_MAX, CONFIG_FILE, type ModelDescription, readModelConfig } from '../api/model-config.ts';
import type { WeightSource } from '../api/weight-sources.ts';
import { type Clock, deadlineSignal } from '../lib/clock.ts';
import { fail, ok } from '../lib/result.ts';
import type { SourceResolver } from '../ports/weights.ts';
import type { Credentials } from './credentials.ts';
import { listHub } from './list-hub.ts';
import { listOci } from './list-oci.ts';
import { listHttp, listS3 } from './list-written.ts';
import { createSourceClient, readBytes, type SourceClient } from './source-client.ts';
import { StageError, shownUrl } from './stage-error.ts';

const RESOLVE_MS_MAX = 120_000;

export function createSourceResolver(clock: Clock): SourceResolver {
  return {
    async resolveSource(source, secret, signal) {
      const reason = new StageError('SourceUnreachable', 'The source took too long to say which files it has.', {});
      const deadline = deadlineSignal(clock, RESOLVE_MS_MAX, { reason, parent: signal });
      const signer = {
        source: kindOf(source),
        region: source.s3?.region ?? '',
        credentials: readCredentials(secret),
        clock,
      };
      const client = createSourceClient(signer);
      try {
        const fileSet = checkSet(await list(source, client, deadline.signal));
        const description = await readDescription(fileSet, client, deadline.signal);
        return ok({ fileSet, ...(description === undefined ? {} : { description }) });
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof StageError) return fail({ reason: error.reason, message: error.message });
        return fail({ reason: 'SourceUnreachable', message: `The source could not be read: ${String(error)}.` });
      } finally {
        deadline.cancel();
        await client.close();
      }
    },
  };
}

function kindOf({ hub, s3, oci }: WeightSource): SourceKind {
  if (hub !== undefined) return 'Hub';
  if (s3 !== undefined) return 'S3';
  return oci === undefined ? 'Http' : 'Oci';
}

function list({ http, hub, s3, oci }: WeightSource, client: SourceClient, signal: AbortSignal): Promise<FileSet> {
  if (http !== undefined) return listHttp(http, client, signal);
  if (hub !== undefined) return listHub(hub, client, signal);
  if (s3 !== undefined) return listS3(s3, client, signal);
  if (oci !== undefined) return listOci(oci, client, signal);
  throw new StageError('PlanInvalid', 'No source is named.');
}

function checkSet(set: FileSet): FileSet {
  const clash = findClash(set.files);
  if (clash !== undefined) throw new StageError('PlanInvalid', `These files cannot lie in one folder: ${clash}.`);
  if (JSON.stringify(set).length > PLAN_CHARS_MAX) {
    throw new StageError(
      'PlanInvalid',
      'The list of files is too long to pin. Choose fewer, or give them shorter addresses.',
    );
  }
  return set;
}

/** The one file that is looked into before it is staged: it says what an engine has to know of the model beforehand. */
async function readDescription(
  { files }: FileSet,
  client: SourceClient,
  signal: AbortSignal,
): Promise<ModelDescription | undefined> {
  const config = files.find(({ path }) => path === CONFIG_FILE);
  if (config === undefined || config.sizeBytes > CONFIG_BYTES_MAX) return undefined;
  const bytes = await readBytes(await client.ask({ url: config.url }, signal), CONFIG_BYTES_MAX);
  if (createHash('sha256').update(bytes).digest('hex') !== config.sha256) {
    throw new StageError('HashMismatch', `${shownUrl(config.url)} is not the file that its sha256 names.`);
  }
  return readModelConfig(bytes.toString('utf8'));
}

const credentialNames = [
  'token',
  'username',
  'password',
  'accessKeyId',
  'secretAccessKey',
  'sessionToken',
] as const satisfies readonly (keyof Credentials)[];

/** What is known of a Secret's entries. A line break at the end is a slip of whoever made it. */
export function readCredentials(entries: Readonly<Record<string, string | undefined>>): Credentials {
  const found: Partial<Record<(typeof credentialNames)[number], string>> = {};
  for (const name of credentialNames) {
    const value = entries[name]?.trim();
    if (value !== undefined && value !== '') found[name] = value;
  }
  return found;
}
