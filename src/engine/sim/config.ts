// The configuration of one simulated model server process: the first line on its standard input. What it has in common with
// the built-in engine's is taken from there. Must never read the environment or the disk.
import { z } from 'zod';
import { simulatedWeightsSchema } from '../../api/simulated-weights.ts';
import { simulationSchema } from '../../api/simulation.ts';
import type { Result } from '../../lib/result.ts';
import { parseConfigLine, serverConfigSchema } from '../llama/config.ts';

const simConfigSchema = serverConfigSchema
  .pick({
    instance: true,
    servedName: true,
    contextLength: true,
    concurrency: true,
    queueMax: true,
    key: true,
    drainMs: true,
    sampling: true,
  })
  .extend({
    simulated: simulatedWeightsSchema,
    simulation: simulationSchema.prefault({}),
    /** Accelerator memory that nobody else in the slot holds. */
    freeBytes: z.int().min(0),
  });

export type SimConfig = z.infer<typeof simConfigSchema>;
/** What the parent writes: defaults may be left out. */
export type SimConfigInput = z.input<typeof simConfigSchema>;

export function parseSimConfig(line: string): Result<SimConfig, string> {
  return parseConfigLine(simConfigSchema, line);
}
