// The part of a Pod that the node reads, as a schema: what comes over the wire is checked before anything is made of it.
import { z } from 'zod';
import type { Pod } from '../../api/kinds.ts';

const amounts = z.record(z.string(), z.string());
const container = z.looseObject({
  name: z.string(),
  image: z.string(),
  command: z.array(z.string()).optional(),
  args: z.array(z.string()).optional(),
  env: z
    .array(
      z.looseObject({
        name: z.string(),
        value: z.string().optional(),
        valueFrom: z
          .looseObject({
            fieldRef: z.looseObject({ fieldPath: z.string() }).optional(),
            secretKeyRef: z
              .looseObject({ name: z.string(), key: z.string(), optional: z.boolean().optional() })
              .optional(),
          })
          .optional(),
      }),
    )
    .optional(),
  ports: z.array(z.looseObject({ name: z.string().optional(), containerPort: z.int() })).optional(),
  resources: z.looseObject({ requests: amounts.optional(), limits: amounts.optional() }).optional(),
  readinessProbe: z
    .looseObject({
      httpGet: z.looseObject({ path: z.string(), port: z.union([z.int(), z.string()]) }),
      periodSeconds: z.int().min(1).optional(),
    })
    .optional(),
  volumeMounts: z.array(z.looseObject({ name: z.string(), mountPath: z.string() })).optional(),
});
const serviceAccountToken = z.looseObject({
  audience: z.string(),
  expirationSeconds: z.int().min(1),
  path: z.string(),
});
const volume = z.looseObject({
  name: z.string(),
  emptyDir: z.looseObject({}).optional(),
  projected: z
    .looseObject({ sources: z.array(z.looseObject({ serviceAccountToken: serviceAccountToken.optional() })) })
    .optional(),
});
const condition = z.looseObject({ type: z.string(), status: z.string() });
const containerStatus = z.looseObject({
  name: z.string(),
  restartCount: z.int(),
  state: z.looseObject({}).optional(),
});

const podShape = z.looseObject({
  metadata: z.looseObject({
    name: z.string().min(1),
    namespace: z.string().optional(),
    uid: z.string().min(1),
    resourceVersion: z.string().optional(),
    creationTimestamp: z.string().optional(),
    deletionTimestamp: z.string().nullish(),
    deletionGracePeriodSeconds: z.int().nullish(),
  }),
  spec: z.looseObject({
    containers: z.array(container).min(1).max(32),
    volumes: z.array(volume).max(64).optional(),
    serviceAccountName: z.string().optional(),
    restartPolicy: z.enum(['Always', 'OnFailure', 'Never']).optional(),
    terminationGracePeriodSeconds: z.int().min(0).optional(),
    nodeName: z.string().optional(),
  }),
  status: z
    .looseObject({
      phase: z.string().optional(),
      startTime: z.string().optional(),
      conditions: z.array(condition).optional(),
      containerStatuses: z.array(containerStatus).optional(),
    })
    .optional(),
});

/** True for an object that has the shape of a Pod, as far as the node reads it. */
export function isPod(value: unknown): value is Pod {
  return podShape.safeParse(value).success;
}
