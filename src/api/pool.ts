// The Pool kind: one kind of hardware, how many slots of it there may be, and what a slot may hold.
import { z } from 'zod';
import { conditionsSchema, type ObjectMeta } from './group.ts';

export const poolSpecSchema = z
  .object({
    accelerator: z
      .object({
        resourceName: z
          .string()
          .min(1)
          .max(128)
          .regex(
            /^[a-z0-9][-a-z0-9.]*\/[A-Za-z0-9][-A-Za-z0-9_.]*$/,
            'must be a domain, / and a name, such as nvidia.com/gpu',
          )
          .default('stoker.dev/cpu')
          .meta({
            description:
              'The extended resource that a slot asks the node for, for example nvidia.com/gpu. A local node offers stoker.dev/cpu, one for each core.',
          }),
        countPerSlot: z.int().min(1).max(64).default(1).meta({ description: 'How many of it one slot holds.' }),
        className: z.string().min(1).max(63).default('cpu').meta({
          description: 'A name for this kind of accelerator. What one class learned is not used for another.',
        }),
      })
      .prefault({})
      .meta({ description: 'What one slot holds: exactly one accelerator set.' }),
    slots: z
      .object({
        min: z
          .int()
          .min(0)
          .max(1000)
          .default(0)
          .meta({ description: 'Slots that are kept even when nothing wants them.' }),
        max: z.int().min(1).max(1000).default(1).meta({ description: 'Slots that there may be at most.' }),
      })
      .prefault({})
      .meta({ description: 'How many slots (Pods) the pool may have.' }),
    sleepersPerSlotMax: z.int().min(0).max(64).default(8).meta({
      description: 'Instances that may be asleep in one slot. Beyond it the least recently used one is stopped.',
    }),
    maxDrainSeconds: z
      .int()
      .min(1)
      .max(3600)
      .default(60)
      .meta({ description: 'The longest that a slot may take to finish its requests when it has to go.' }),
  })
  .meta({ description: 'One kind of hardware and its limits.' });

export const poolStatusSchema = z
  .object({
    observedGeneration: z
      .int()
      .min(0)
      .optional()
      .meta({ description: 'The generation of the spec this status is about.' }),
    nextSerial: z.int().min(0).optional().meta({
      description: 'The serial of the next slot. It is reserved here before the Pod is made, and never used twice.',
    }),
    slots: z.int().min(0).optional().meta({ description: 'Slots that exist.' }),
    ready: z.int().min(0).optional().meta({ description: 'Slots whose agent is connected.' }),
    awake: z.int().min(0).optional().meta({ description: 'Instances that are awake.' }),
    asleep: z.int().min(0).optional().meta({ description: 'Instances that are asleep.' }),
    spare: z.int().min(0).optional().meta({ description: 'Slots in which nothing is resident.' }),
    conditions: conditionsSchema.optional(),
  })
  .meta({ description: 'What the controller observed.' });

export type PoolSpec = z.infer<typeof poolSpecSchema>;
export type PoolStatus = z.infer<typeof poolStatusSchema>;
export interface Pool {
  readonly apiVersion: string;
  readonly kind: 'Pool';
  readonly metadata: ObjectMeta;
  readonly spec: PoolSpec;
  readonly status?: PoolStatus;
}
