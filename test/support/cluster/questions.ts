// Objects for simulated models, and questions to them as a client asks.
import { request } from 'undici';
import { API_VERSION } from '../../../src/api/group.ts';

export function simulatedPool(name: string, slots: { min: number; max: number }): object {
  return {
    apiVersion: API_VERSION,
    kind: 'Pool',
    metadata: { name },
    spec: { accelerator: { resourceName: 'stoker.dev/sim-gpu', className: 'sim' }, slots, maxDrainSeconds: 2 },
  };
}

export function simulatedModel(name: string, pool: string, spec: object = {}): object {
  return {
    apiVersion: API_VERSION,
    kind: 'Model',
    metadata: { name },
    spec: {
      servedName: name,
      version: { weights: { simulated: { profile: 'Size7B', seed: 7 } }, engine: { name: 'Sim' } },
      pools: [pool],
      simulation: { speedPercent: 10_000 },
      ...spec,
    },
  };
}

export interface Streamed {
  readonly status: number;
  readonly text: string;
  /** The whole stream, as it came. */
  readonly raw: string;
}

/** Asks with a stream and reads it to its end. */
export async function askStream(url: string, model: string): Promise<Streamed> {
  const response = await request(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model,
      stream: true,
      max_tokens: 24,
      temperature: 0,
      messages: [{ role: 'user', content: 'Well?' }],
    }),
  });
  const raw = await response.body.text();
  const text = [...raw.matchAll(/^data: (\{.*\})$/gm)]
    .map(([, data]) => JSON.parse(data ?? '{}').choices?.[0]?.delta?.content ?? '')
    .join('');
  return { status: response.statusCode, text, raw };
}
