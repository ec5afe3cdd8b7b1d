// Where weights can be downloaded from: plain addresses, a model hub, an S3-compatible store, a registry. What people write;
// what it was resolved to is a file set (file-set.ts). Never holds a credential, only the name of the Secret that does.
import { z } from 'zod';
import { FILE_PATH_PATTERN, sha256Schema, sourceUrlSchema } from './file-set.ts';

/** The folder's worth of files that one object may name. */
const WRITTEN_FILES_MAX = 64;

const pathSchema = z
  .string()
  .min(1)
  .max(255)
  .regex(FILE_PATH_PATTERN, 'must be a path of at most 4 parts, none of which begins with a dot')
  .optional()
  .meta({ description: 'Its name in the folder of the weights. Unset: the last part of the address.' });
const sizeSchema = z
  .int()
  .min(1)
  .max(2 ** 43)
  .optional()
  .meta({ description: 'Its size in bytes. Unset: the source is asked.' });

/** Files that are written down one by one. `where` says how the source finds each. */
const writtenFiles = <Where extends z.ZodRawShape>(where: Where) =>
  z
    .array(
      z.object({
        ...where,
        path: pathSchema,
        sha256: sha256Schema.meta({ description: 'The digest that it must have.' }),
        sizeBytes: sizeSchema,
      }),
    )
    .min(1)
    .max(WRITTEN_FILES_MAX)
    .meta({ description: 'Every file of the weights.' });

const httpSchema = z
  .object({ files: writtenFiles({ url: sourceUrlSchema.meta({ description: 'Its address.' }) }) })
  .meta({ description: 'Weights at plain addresses.' });

const hubSchema = z
  .object({
    repo: z
      .string()
      .min(1)
      .max(200)
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*\/[A-Za-z0-9][A-Za-z0-9._-]*$/, 'must be OWNER/NAME')
      .meta({ description: 'The repository, as OWNER/NAME.' }),
    revision: z
      .string()
      .min(1)
      .max(128)
      .regex(/^[A-Za-z0-9][A-Za-z0-9._/-]*$/, 'must be a branch, a tag or a commit')
      .default('main')
      .meta({
        description: 'A branch, a tag or a commit. It is resolved to a commit once, when the version is pinned.',
      }),
    include: z
      .array(z.string().min(1).max(200))
      .min(1)
      .max(32)
      .optional()
      .meta({ description: 'Patterns with *, of the files that are taken. Unset: all but *.md and hidden ones.' }),
    endpoint: sourceUrlSchema
      .default('https://huggingface.co')
      .meta({ description: 'The address of the hub, or of a mirror that speaks its API.' }),
  })
  .meta({ description: 'Weights in a repository of a model hub that speaks the API of Hugging Face.' });

const s3Schema = z
  .object({
    endpoint: sourceUrlSchema.meta({ description: 'The address of the store. The bucket is appended as a path.' }),
    bucket: z
      .string()
      .min(3)
      .max(63)
      .regex(/^[a-z0-9][a-z0-9.-]*[a-z0-9]$/, 'must be the name of a bucket')
      .meta({ description: 'The bucket.' }),
    region: z
      .string()
      .min(1)
      .max(64)
      .default('us-east-1')
      .meta({ description: 'The region that requests are signed for.' }),
    files: writtenFiles({ key: z.string().min(1).max(1024).meta({ description: 'Its key in the bucket.' }) }),
  })
  .meta({ description: 'Weights in an S3-compatible store.' });

const ociSchema = z
  .object({
    reference: z
      .string()
      .min(3)
      .max(512)
      .regex(
        /^[A-Za-z0-9.-]+(:[0-9]{1,5})?\/[a-z0-9][a-z0-9._/-]*(:[A-Za-z0-9_][A-Za-z0-9._-]*|@sha256:[0-9a-f]{64})$/,
        'must be REGISTRY/REPOSITORY:TAG or REGISTRY/REPOSITORY@sha256:DIGEST',
      )
      .meta({ description: 'REGISTRY/REPOSITORY@sha256:DIGEST, or with a tag that is resolved once.' }),
    plainHttp: z
      .boolean()
      .default(false)
      .meta({ description: 'Speak http to the registry. Digests are checked all the same; credentials are readable.' }),
  })
  .meta({ description: 'Weights in a registry, as an artifact whose layers are files.' });

const secretName = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, 'must be the name of a Secret')
  .optional()
  .meta({
    description:
      'A Secret beside this Model. Its entries: token for http and hub; username and password for http and oci; accessKeyId, secretAccessKey and sessionToken for s3.',
  });

/** Beside `file` and `simulated` in `spec.version.weights`; at most one of them is set. */
export const weightSourceFields = {
  http: httpSchema.optional(),
  hub: hubSchema.optional(),
  s3: s3Schema.optional(),
  oci: ociSchema.optional(),
  credentialsSecretName: secretName,
};

const weightSourceSchema = z.object(weightSourceFields);
export type WeightSource = z.infer<typeof weightSourceSchema>;
/** Whether these weights have to be downloaded. */
export function isDownloaded({ http, hub, s3, oci }: Partial<WeightSource>): boolean {
  return [http, hub, s3, oci].some((source) => source !== undefined);
}

/** What of the source is not fixed by a digest or a commit. Undefined when all of it is. */
export function mutablePartOf({ hub, oci }: Partial<WeightSource>): 'hub.revision' | 'oci.reference' | undefined {
  if (hub !== undefined && !/^[0-9a-f]{40}$/.test(hub.revision)) return 'hub.revision';
  if (oci !== undefined && !oci.reference.includes('@sha256:')) return 'oci.reference';
  return undefined;
}
