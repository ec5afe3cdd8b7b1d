// The sampling defaults of a version as a JSON object, for engines that take them so. Pure.

import type { z } from 'zod';
import type { samplingSchema } from '../../api/model.ts';

/** Undefined when the version sets none. Names as in generation_config.json. */
export function renderSamplingDefaults(sampling: z.infer<typeof samplingSchema> | undefined): string | undefined {
  const { temperature, topP, topK } = sampling ?? {};
  const given = {
    ...(temperature === undefined ? {} : { temperature: Number(temperature) }),
    ...(topP === undefined ? {} : { top_p: Number(topP) }),
    ...(topK === undefined ? {} : { top_k: topK }),
  };
  return Object.keys(given).length === 0 ? undefined : JSON.stringify(given);
}
