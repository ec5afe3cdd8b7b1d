// A set of files that has to be brought to where engines read it: what each is, and where it comes from. Written into the
// environment of a stager by the controller, and checked by the stager before it is used. What identifies a set is here too.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { canonicalJson } from '../lib/canonical-json.ts';

export const FILES_MAX = 256;
/** One variable of an environment holds 128 KiB on Linux. */
export const PLAN_CHARS_MAX = 100_000;
const FILE_BYTES_MAX = 2 ** 43;

/** Below the folder of the set: no part may begin with a dot, so that nothing leads out and nothing is hidden. */
export const FILE_PATH_PATTERN = /^[A-Za-z0-9_][A-Za-z0-9._+@=-]*(\/[A-Za-z0-9_][A-Za-z0-9._+@=-]*){0,3}$/;
export const sha256Schema = z
  .string()
  .max(64)
  .regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits in lower case');
export const sourceUrlSchema = z
  .string()
  .min(8)
  .max(2048)
  .regex(/^https?:\/\/[^\s/@?#]+(\/[^\s#]*)?$/, 'must begin with http:// or https://, with a host and no user in it');

export const stagedFileSchema = z
  .object({
    path: z
      .string()
      .min(1)
      .max(255)
      .regex(FILE_PATH_PATTERN, 'must be a path of at most 4 parts, none of which begins with a dot')
      .meta({ description: 'Below the folder of the set.' }),
    url: sourceUrlSchema.meta({ description: 'Where it is downloaded from.' }),
    sizeBytes: z.int().min(1).max(FILE_BYTES_MAX).meta({ description: 'Its size in bytes.' }),
    sha256: sha256Schema.meta({ description: 'The digest that it must have.' }),
  })
  .meta({ description: 'One file.' });
export type StagedFile = z.infer<typeof stagedFileSchema>;

export const sourceKinds = ['Http', 'Hub', 'S3', 'Oci'] as const;
export type SourceKind = (typeof sourceKinds)[number];

export const fileSetSchema = z
  .object({
    source: z.enum(sourceKinds).meta({ description: 'Who serves the files, and with it how a request is signed.' }),
    region: z.string().min(1).max(64).optional().meta({ description: 'The region that S3 requests are signed for.' }),
    files: z.array(stagedFileSchema).min(1).max(FILES_MAX).meta({ description: 'Every file of the set.' }),
  })
  .meta({ description: 'Files that are downloaded before an engine starts.' });
export type FileSet = z.infer<typeof fileSetSchema>;

/** What identifies a set: names and contents of its files, wherever they lie. 64 hexadecimal digits. */
export function fileSetDigest(files: readonly { readonly path: string; readonly sha256: string }[]): string {
  const listed = [...files].sort((a, b) => (a.path < b.path ? -1 : 1)).map(({ path, sha256 }) => ({ path, sha256 }));
  return createHash('sha256')
    .update(canonicalJson({ files: listed }))
    .digest('hex');
}

export function fileSetBytes(files: readonly { readonly sizeBytes: number }[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** The set, or a sentence. A path that is there twice, or that is a folder of another, is refused. */
export function parseFileSet(text: string): FileSet | string {
  if (text.length > PLAN_CHARS_MAX) return `it has ${text.length} characters, and at most ${PLAN_CHARS_MAX} are read`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'it is not JSON';
  }
  const parsed = fileSetSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return `${issue?.path.join('.') ?? ''} ${issue?.message ?? 'is wrong'}`.trim();
  }
  return findClash(parsed.data.files) ?? parsed.data;
}

/** Two files that cannot lie beside each other, as a sentence. */
export function findClash(files: readonly { readonly path: string }[]): string | undefined {
  const paths = new Set<string>();
  for (const { path } of files) {
    if (paths.has(path)) return `the file ${path} is there twice`;
    paths.add(path);
  }
  const folders = files.flatMap(({ path }) => foldersOf(path));
  const both = folders.find((folder) => paths.has(folder));
  return both === undefined ? undefined : `${both} is a file and a folder`;
}

function foldersOf(path: string): string[] {
  const parts = path.split('/');
  return parts.slice(1).map((_, at) => parts.slice(0, at + 1).join('/'));
}
