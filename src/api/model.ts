// The Model kind: what a caller names, the version that is wanted, where it may run and how it is kept warm.
// Only `spec.version` is hashed into a revision (src/api/revision-hash.ts); everything else may change freely.
import { z } from 'zod';
import { ARGUMENTS_MAX, engineArgumentSchema, thirdPartyEngines } from './engine-arguments.ts';
import { writtenImageSchema } from './engine-image.ts';
import { conditionsSchema, type ObjectMeta } from './group.ts';
import { remoteSchema } from './remote.ts';
import { simulatedWeightsSchema } from './simulated-weights.ts';
import { simulationSchema } from './simulation.ts';
import { weightSourceFields } from './weight-sources.ts';

const decimal = (description: string) =>
  z
    .string()
    .max(8)
    .regex(/^(0|[1-9][0-9]?)(\.[0-9]{1,4})?$/, 'must be a decimal number in quotes, such as "0.7"')
    .meta({ description: `${description} A decimal number in quotes.` });

export const samplingSchema = z
  .object({
    temperature: decimal('Used when the request names none. 0 always takes the likeliest token.').optional(),
    topP: decimal('Used when the request names none: the share of probability that is sampled from.').optional(),
    topK: z
      .int()
      .min(1)
      .max(1000)
      .optional()
      .meta({ description: 'Tokens that are sampled from at most. The engine takes 40 when unset.' }),
  })
  .meta({ description: 'Sampling defaults of this version. What the request says goes first.' });

/** What runs a version. */
export const engineNames = ['Llama', 'Sim', 'Remote', ...thirdPartyEngines] as const;

export const versionSchema = z
  .object({
    weights: z
      .object({
        file: z
          .object({
            path: z.string().min(1).max(1024).meta({
              description:
                'A GGUF file that the node can read. A relative path starts at the folder Stoker was started in.',
            }),
            sha256: z
              .string()
              .max(64)
              .regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits in lower case')
              .optional()
              .meta({ description: 'The digest that the file must have. Without it the file found first is pinned.' }),
          })
          .meta({ description: 'Weights in one file on the node.' })
          .optional(),
        folder: z
          .object({
            path: z.string().min(1).max(1024).meta({
              description:
                'A folder, as Vllm and Sglang load it: config.json, tokenizer and safetensors. The controller and slots read it under the same path: on a cluster it lies in both images. A relative path starts at the folder Stoker was started in.',
            }),
            sha256: z
              .string()
              .max(64)
              .regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits in lower case')
              .optional()
              .meta({
                description:
                  'The digest over names and contents of its files that it must have. Without it what is found first is pinned.',
              }),
          })
          .meta({ description: 'Weights in a folder on the node.' })
          .optional(),
        simulated: simulatedWeightsSchema.optional(),
        ...weightSourceFields,
      })
      .meta({
        description:
          'Where the weights come from: a file, a folder, a source that they are downloaded from, or nowhere.',
      })
      .optional(),
    remote: remoteSchema.optional(),
    engine: z
      .object({
        name: z.enum(engineNames).default('Llama').meta({
          description:
            "The model server that runs it. Llama is built in and reads GGUF files. Sim is built in and only imitates a large model. Vllm and Sglang load folders, LlamaServer GGUF files; they run from their images. Remote is somebody else's.",
        }),
        image: writtenImageSchema.optional().meta({
          description:
            'The image of Vllm, Sglang or LlamaServer, by digest, or by a tag that is resolved once. Needed on a cluster. On one machine, which runs no images, it must be left out: what is installed there is run.',
        }),
        args: z.array(engineArgumentSchema).min(1).max(ARGUMENTS_MAX).optional().meta({
          description:
            'Further arguments of Vllm, Sglang or LlamaServer, each as --flag or --flag=value. docs/reference/engines.md lists those that may be given.',
          'x-kubernetes-list-type': 'atomic',
        }),
      })
      .prefault({})
      .meta({ description: 'The model server.' }),
    contextLength: z.int().min(128).max(1_048_576).optional().meta({
      description: 'Tokens of prompt and answer together. Unset: what the model was trained for, at most 8192.',
    }),
    sampling: samplingSchema.optional(),
  })
  .meta({ description: 'What is pinned. Any change here makes a new revision.' });

export const modelSpecSchema = z
  .object({
    servedName: z
      .string()
      .min(1)
      .max(128)
      .regex(
        /^[A-Za-z0-9][A-Za-z0-9._/-]*$/,
        'must begin with a letter or digit and hold only letters, digits and . _ / -',
      )
      .meta({ description: 'The name that callers put into the `model` field. It cannot be changed later.' }),
    version: versionSchema,
    pinPolicy: z.enum(['ResolveOnce', 'RequireDigest']).default('ResolveOnce').meta({
      description:
        'ResolveOnce pins what is found when the revision is made. RequireDigest refuses weights and images that are not named by a digest or a commit.',
    }),
    pools: z.array(z.string().min(1).max(52)).min(1).max(16).default(['default']).meta({
      description: 'Names of the pools whose slots it may use, preferred first.',
      'x-kubernetes-list-type': 'set',
    }),
    scaling: z
      .object({
        minAwake: z
          .int()
          .min(0)
          .max(1000)
          .default(0)
          .meta({ description: 'Instances that never sleep. `kubectl scale` sets this.' }),
        maxAwake: z.int().min(1).max(1000).default(1).meta({ description: 'Instances that may be awake at once.' }),
        sleepAfterSeconds: z.int().min(1).max(86_400).default(300).meta({
          description:
            'When no request came for this long, everything above minAwake sleeps, unless the same hour of earlier weeks asks for it. What the work does not need sleeps earlier, and so does an idle instance whose slot other models are likely to need.',
        }),
        headroom: z.enum(['Economy', 'Standard', 'Strict']).default('Standard').meta({
          description:
            'How much stays awake for bursts that come faster than a wake: enough for 95, 99 or 99.9 of 100 moments like those of the last ten minutes.',
        }),
        firstTokenMillis: z.int().min(50).max(600_000).optional().meta({
          description: 'Requests should have their first token within this time. 5000 when it is not given.',
        }),
      })
      .prefault({})
      .meta({ description: 'How many instances are awake.' }),
    serving: z
      .object({
        concurrency: z
          .int()
          .min(1)
          .max(256)
          .default(8)
          .meta({ description: 'Requests that one instance serves at the same time.' }),
        drainSeconds: z.int().min(0).max(3600).default(30).meta({
          description:
            'Time that running requests get before an instance sleeps or stops. At most maxDrainSeconds of its Pool.',
        }),
        sleep: z
          .enum(['Auto', 'Level1', 'Level2', 'Never'])
          .default('Auto')
          .meta({ description: 'How an idle instance sleeps. Never stops the process instead.' }),
      })
      .prefault({})
      .meta({ description: 'How one instance serves.' }),
    simulation: simulationSchema.optional(),
  })
  .meta({ description: 'A model that callers can name.' });

export const modelStatusSchema = z
  .object({
    observedGeneration: z
      .int()
      .min(0)
      .optional()
      .meta({ description: 'The generation of the spec this status is about.' }),
    stableRevision: z.string().max(63).optional().meta({ description: 'The revision that answers.' }),
    candidateRevision: z
      .string()
      .max(63)
      .optional()
      .meta({ description: 'The revision that takes over once one instance of it is probed.' }),
    rung: z
      .string()
      .max(16)
      .optional()
      .meta({ description: 'How warm the warmest instance of the stable revision is.' }),
    awake: z.int().min(0).optional().meta({ description: 'Instances that are awake.' }),
    asleep: z.int().min(0).optional().meta({ description: 'Instances that are asleep.' }),
    selector: z
      .string()
      .max(128)
      .optional()
      .meta({ description: 'The label selector of the slots that it is awake in.' }),
    scaleDecision: z
      .string()
      .max(512)
      .optional()
      .meta({ description: 'The last scaling decision in one sentence. `stoker explain scale` prints all of it.' }),
    conditions: conditionsSchema.optional(),
  })
  .meta({ description: 'What the controller observed.' });

export type ModelSpec = z.infer<typeof modelSpecSchema>;
export type ModelStatus = z.infer<typeof modelStatusSchema>;
export interface Model {
  readonly apiVersion: string;
  readonly kind: 'Model';
  readonly metadata: ObjectMeta;
  readonly spec: ModelSpec;
  readonly status?: ModelStatus;
}
