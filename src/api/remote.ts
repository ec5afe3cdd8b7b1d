// A model that somebody else serves: the address of an OpenAI-compatible API, its name there, and where its key is kept.
// Only says what may be written; which addresses are refused when they are dialled is in src/router/upstream.
import { z } from 'zod';

/** Of https, or of http on this machine; without user, query or fragment. RE2, for API servers. */
const BASE_URL =
  /^(https:\/\/([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])|http:\/\/(localhost|127(\.[0-9]{1,3}){3}|\[::1\]))(:[0-9]{1,5})?(\/[A-Za-z0-9._~-]+)*\/?$/;
const BASE_URL_SENTENCE =
  'must be https://HOST/PATH, or http:// on localhost, without user, password, query and fragment, for example https://api.example.com/v1';

export const remoteSchema = z
  .object({
    baseUrl: z.string().min(1).max(512).regex(BASE_URL, BASE_URL_SENTENCE).meta({
      description:
        "The address, with the path before /chat/completions, for example https://api.example.com/v1. Addresses that are link-local or of a cloud's metadata are refused.",
    }),
    model: z
      .string()
      .min(1)
      .max(256)
      .regex(/^[!-~]+$/, 'must be visible ASCII characters without spaces')
      .meta({ description: 'The name of the model there. It takes the place of servedName on the way.' }),
    apiKeySecretRef: z
      .object({
        name: z
          .string()
          .min(1)
          .max(253)
          .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, 'must be the name of a Secret')
          .meta({ description: 'The Secret, in the namespace of the Model.' }),
        key: z
          .string()
          .min(1)
          .max(253)
          .regex(/^[A-Za-z0-9._-]+$/, 'must be a key of a Secret')
          .meta({ description: 'The entry of the Secret that holds the key.' }),
      })
      .optional()
      .meta({
        description:
          'The API key, sent as a bearer token. It is read again every half minute, and when the Model changes. Never pinned.',
      }),
  })
  .meta({
    description:
      'Somebody else serves it. It needs no slot: pools, scaling and sleep mean nothing then, and serving.concurrency bounds its requests.',
  });
export type Remote = z.infer<typeof remoteSchema>;

/** What a revision pins of it: where and what, never the key. */
export const pinnedRemoteSchema = remoteSchema.omit({ apiKeySecretRef: true });
