// The Pool kind: one kind of hardware, how many slots of it there may be, and what a slot may hold.
import { z } from 'zod';
import { conditionsSchema, type ObjectMeta } from './group.ts';

const NODE_LABELS_MAX = 16;
const labelKey = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const objectName = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, 'must be the name of an object');

const claimName = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, 'must be the name of a PersistentVolumeClaim');

const nodeFolder = (description: string) =>
  z.object({
    path: z
      .string()
      .min(2)
      .max(255)
      .regex(/^(\/[A-Za-z0-9_][A-Za-z0-9._-]*)+$/, 'must be an absolute path without .. and hidden parts')
      .meta({ description }),
  });

const tolerationSchema = z
  .object({
    key: z.string().max(317).regex(labelKey, 'must be the key of a taint').optional().meta({
      description: 'The key of the taint. Without it every taint of the effect is tolerated.',
    }),
    operator: z.enum(['Exists', 'Equal']).optional().meta({ description: 'Equal compares the value, too.' }),
    value: z.string().max(63).optional().meta({ description: 'The value of the taint, for Equal.' }),
    effect: z
      .enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute'])
      .optional()
      .meta({ description: 'The effect of the taint. Without it every effect.' }),
    tolerationSeconds: z
      .int()
      .min(0)
      .max(86_400)
      .optional()
      .meta({ description: 'How long a taint with NoExecute is tolerated. Without it for ever.' }),
  })
  .meta({ description: 'A taint of nodes that slots may be put on nevertheless.' });

const podSchema = z
  .object({
    nodeSelector: z
      .record(z.string().max(317), z.string().max(63))
      .refine((labels) => Object.keys(labels).length <= NODE_LABELS_MAX, `must have at most ${NODE_LABELS_MAX} labels`)
      .meta({ description: 'Labels that a node must have.', maxProperties: NODE_LABELS_MAX })
      .optional(),
    tolerations: z
      .array(tolerationSchema)
      .max(16)
      .optional()
      .meta({ description: 'Taints of nodes that slots may be put on nevertheless.' }),
    runtimeClassName: objectName.optional().meta({ description: 'The RuntimeClass, where the accelerator needs one.' }),
    priorityClassName: objectName.optional().meta({ description: 'The PriorityClass of slots.' }),
    cpuMillis: z.int().min(1).max(1_000_000).optional().meta({
      description: 'Processor time that a slot asks the node for: 1000 is one core. There is no limit above it.',
    }),
    memoryBytes: z.int().min(67_108_864).max(17_592_186_044_416).optional().meta({
      description:
        'Memory that a slot asks the node for and may use. sharedMemoryBytes and sleeperBytes come on top. Unset: a slot asks for those two alone, and nothing bounds what it uses.',
    }),
    sharedMemoryBytes: z.int().min(1_048_576).max(1_099_511_627_776).optional().meta({
      description:
        'Size of /dev/shm, which engines on several accelerators need. Unset: 2147483648 for each accelerator of a slot that runs an engine image and has several, out of memoryBytes.',
    }),
    security: z.enum(['Baseline', 'Restricted']).optional().meta({
      description:
        'What slots with the image of somebody else may do, as a Pod security level. Baseline, when unset: they run as the user of the image, root in most, and write where that user may. Restricted: user 65532 and a read-only root, which images made for any user bear. Slots of the built-in engines are always restricted.',
    }),
  })
  .meta({
    description:
      'On a cluster: where slots are put, and what they ask of a node beside the accelerator. One machine needs none of it.',
  });

const money = (description: string) =>
  z
    .string()
    .max(12)
    .regex(/^(0|[1-9][0-9]{0,6})(\.[0-9]{1,4})?$/, 'must be an amount in quotes, such as "2.50"')
    .meta({ description: `${description} An amount in quotes, in any currency, the same for both.` });

const spareSchema = z
  .object({
    hitBasisPoints: z.int().min(1).max(9999).optional().meta({
      description:
        'Of 10000 instances that begin to be wanted, so many are to find a slot that stands there. 9900 when neither this nor cost is given.',
    }),
    cost: z
      .object({
        lateWake: money('What it costs when an instance has to wait for a slot to be made.'),
        slotHour: money('What a slot costs in an hour.'),
      })
      .optional()
      .meta({ description: 'In the place of hitBasisPoints: one more slot stands free while it saves what it costs.' }),
    min: z.int().min(0).max(1000).default(0).meta({
      description: 'Slots that stand free at least. While a model of the pool sleeps, it is one in any case.',
    }),
    max: z.int().min(0).max(1000).optional().meta({
      description: 'Slots that stand free at most. Unset: as many as slots.max leaves.',
    }),
    capacityBuffer: z.boolean().optional().meta({
      description:
        'Keep nodes ready, too, for as many slots as should stand free, so that the next ones find a node. Up to what slots.max leaves. Needs a cluster autoscaler with CapacityBuffers (autoscaling.x-k8s.io), and rbac.capacityBuffers of the chart.',
    }),
  })
  .meta({
    description:
      'Slots that stand free for what wakes next, with sleeping copies of what is likely to be asked for. How many follows from how many were wanted at once before, in the time that a new slot takes. Unset: a slot is made when it is lacking.',
  });

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
        memoryBytes: z.int().min(268_435_456).max(4_398_046_511_104).optional().meta({
          description:
            'Memory of one accelerator. With it Vllm and Sglang are told how much of it they may take, so that those asleep beside them can stay. Unset: they take what they find free.',
        }),
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
    spare: spareSchema.optional(),
    pod: podSchema.optional(),
    sleepersPerSlotMax: z.int().min(0).max(64).default(8).meta({
      description: 'Instances that may be asleep in one slot. Beyond it the one whose loss costs least is stopped.',
    }),
    changesPerSlotHourMax: z.int().min(2).max(3600).default(60).meta({
      description:
        'How often within an hour something may wake or go to sleep in one slot without a request that waits for it. A wake counts as two: a sleep follows it. Beyond it nothing is woken there ahead of need; what requests wait for is never held back.',
    }),
    sleeperBytes: z.int().min(67_108_864).max(17_592_186_044_416).optional().meta({
      description:
        'Host memory for the instances of one slot that are asleep or will be. On a cluster a slot asks the node for it, on top of pod.memoryBytes. Beyond it the instance whose loss costs least is stopped. Unset: only their number is bounded.',
    }),
    weights: z
      .object({
        claimName: claimName.optional().meta({
          description:
            'A PersistentVolumeClaim that every slot of the pool can mount. Stagers write to it, slots only read.',
        }),
        hostPath: nodeFolder('A folder that is there on every node, and that user and group 65532 may write to.')
          .optional()
          .meta({
            description:
              'A folder of each node, for example on its NVMe. Downloaded weights are brought to every node that has a slot. Whoever installs Stoker has to allow it: slots.allowHostPath of the chart.',
          }),
        cacheBytesMax: z.int().min(1_048_576).max(1_125_899_906_842_624).optional().meta({
          description:
            'What all downloaded weights on the volume may take together. Before more is downloaded than that, the weights go whose loss costs least; none that is in use. Unset: nothing is taken away.',
        }),
      })
      .optional()
      .meta({
        description:
          'Where downloaded weights lie, and how much room they have. A local node has a folder of its own for them.',
      }),
    compileCache: z
      .object({
        claimName: claimName.optional().meta({
          description:
            'A PersistentVolumeClaim that every slot of the pool can mount and write to. Its size is the bound of what is kept.',
        }),
        hostPath: nodeFolder('A folder that is there on every node, and that group 65532 may write to.')
          .optional()
          .meta({
            description:
              'A folder of each node, in the place of a claim. Whoever installs Stoker has to allow it: slots.allowHostPath of the chart.',
          }),
      })
      .optional()
      .meta({
        description:
          'Where slots with the image of somebody else keep what its engine compiles, so that the next slot finds it: a folder for each class of accelerator, user and revision. Of a class the 16 used last stay, and what was used in the last day. Whoever may write there can run code in these slots. Unset: it goes with the slot.',
      }),
    maxDrainSeconds: z
      .int()
      .min(1)
      .max(3600)
      .default(60)
      .meta({ description: 'The longest that a slot may take to finish its requests when it has to go.' }),
  })
  .meta({ description: 'One kind of hardware and its limits.' });

const spareDaySchema = z
  .object({
    day: z.int().min(0).max(1_000_000).meta({ description: 'Days since 1970.' }),
    watchedSeconds: z.int().min(0).max(100_000).meta({ description: 'How long of it was watched.' }),
    rises: z.array(z.int().min(0).max(1_000_000_000)).max(257).meta({
      description:
        'Instances that began to be wanted: the first number is of those that needed no free slot, the next of those that needed one, and so on.',
      'x-kubernetes-list-type': 'atomic',
    }),
  })
  .meta({ description: 'What came on one day.' });

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
    spareWanted: z.int().min(0).optional().meta({ description: 'Slots that should stand free.' }),
    spareDecision: z
      .string()
      .max(512)
      .optional()
      .meta({ description: 'Why so many should stand free, in one sentence.' }),
    spareHistory: z.array(spareDaySchema).max(14).optional().meta({
      description: 'What that rests on: the last days, the oldest first.',
      'x-kubernetes-list-type': 'atomic',
    }),
    conditions: conditionsSchema.optional(),
  })
  .meta({ description: 'What the controller observed.' });

export type PoolSpec = z.infer<typeof poolSpecSchema>;
export type SparePolicy = z.infer<typeof spareSchema>;
export type SpareDay = z.infer<typeof spareDaySchema>;
export type PoolStatus = z.infer<typeof poolStatusSchema>;
export interface Pool {
  readonly apiVersion: string;
  readonly kind: 'Pool';
  readonly metadata: ObjectMeta;
  readonly spec: PoolSpec;
  readonly status?: PoolStatus;
}
