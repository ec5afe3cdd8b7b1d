// The ModelRevision kind: one immutable, fully pinned version. Written by the controller alone.
import { z } from 'zod';
import { ARGUMENTS_MAX, engineArgumentSchema } from './engine-arguments.ts';
import { engineImageSchema } from './engine-image.ts';
import { fileSetSchema } from './file-set.ts';
import { conditionsSchema, type ObjectMeta } from './group.ts';
import { engineNames, samplingSchema } from './model.ts';
import { pinnedRemoteSchema } from './remote.ts';
import { simulatedWeightsSchema } from './simulated-weights.ts';

/** Volumes and nodes that are remembered to hold the files of a revision. */
export const STAGED_MAX = 512;

export const modelRevisionSpecSchema = z
  .object({
    modelName: z.string().min(1).max(52).meta({ description: 'The Model it belongs to.' }),
    digest: z
      .string()
      .max(74)
      .regex(/^v1:sha256:[0-9a-f]{64}$/, 'must be v1:sha256: and 64 hexadecimal digits in lower case')
      .meta({ description: 'The hash of everything that is pinned.' }),
    weights: z
      .object({
        path: z
          .string()
          .min(1)
          .max(1024)
          .optional()
          .meta({ description: 'The file or folder the engine opens, as an absolute path on the node.' }),
        sizeBytes: z.int().min(0).meta({ description: 'The size of the weights in bytes.' }),
        sha256: z
          .string()
          .max(64)
          .regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits in lower case')
          .meta({
            description:
              'The digest of their content; of names and digests when they are a file set; of profile and seed when they are simulated.',
          }),
        architecture: z.string().min(1).max(128).optional().meta({
          description: 'What the config.json beside the weights names first: decides whether it survives sleep.',
        }),
        simulated: simulatedWeightsSchema.optional(),
        fileSet: fileSetSchema.optional(),
      })
      .meta({ description: 'The weights, resolved.' })
      .optional(),
    remote: pinnedRemoteSchema.optional().meta({ description: 'The address that serves it, in the place of weights.' }),
    engine: z
      .object({
        name: z.enum(engineNames).meta({ description: 'The model server.' }),
        build: z.string().min(1).max(128).meta({
          description:
            'The build that the pin was made with, for example builtin:<hash> or image@sha256:<hex>; installed where the version is not known before it runs.',
        }),
        image: engineImageSchema.optional().meta({ description: 'The image that it runs from.' }),
        args: z.array(engineArgumentSchema).min(1).max(ARGUMENTS_MAX).optional().meta({
          description: 'Further arguments that it is started with.',
          'x-kubernetes-list-type': 'atomic',
        }),
      })
      .meta({ description: 'The engine, resolved.' }),
    contextLength: z
      .int()
      .min(128)
      .max(1_048_576)
      .optional()
      .meta({ description: 'Tokens of prompt and answer together. Unset when somebody else decides it.' }),
    sampling: samplingSchema.optional(),
  })
  .meta({ description: 'Everything resolved to digests.' });

/** What the same prompt must give again after every start and wake: eight token ids with log-probabilities (decimal strings). */
export const probeSampleSchema = z
  .object({
    tokenIds: z.array(z.int().min(0)).min(1).max(16).meta({ description: 'The tokens of the probe.' }),
    logprobs: z.array(z.string().max(16)).min(1).max(16).meta({ description: 'Their natural log-probabilities.' }),
  })
  .meta({ description: 'The answer of a verified start to the probe.' });

export const modelRevisionStatusSchema = z
  .object({
    probes: z
      .array(
        z.object({
          key: z.string().max(200).meta({
            description:
              'Accelerator class, with x and their number where a slot has several, and engine build, joined by @.',
          }),
          sample: probeSampleSchema,
        }),
      )
      .max(16)
      .optional()
      .meta({
        description: 'What the first verified start of each class and build answered.',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['key'],
      }),
    stagedIn: z
      .array(z.string().max(300))
      .max(STAGED_MAX)
      .optional()
      .meta({ description: 'Volumes and nodes that hold its files, verified.', 'x-kubernetes-list-type': 'set' }),
    conditions: conditionsSchema.optional(),
  })
  .meta({ description: 'What the controller observed.' });

export type ModelRevisionSpec = z.infer<typeof modelRevisionSpecSchema>;
export type ModelRevisionStatus = z.infer<typeof modelRevisionStatusSchema>;
export type ProbeSample = z.infer<typeof probeSampleSchema>;
export interface ModelRevision {
  readonly apiVersion: string;
  readonly kind: 'ModelRevision';
  readonly metadata: ObjectMeta;
  readonly spec: ModelRevisionSpec;
  readonly status?: ModelRevisionStatus;
}
