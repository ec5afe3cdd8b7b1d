// How a simulated engine misbehaves and how fast its time runs. Operational: never part of what a revision pins.
// Only says what may be asked; when a fault strikes is decided in src/engine/sim/faults.ts.
import { z } from 'zod';

/** Each kind strikes at one sort of event, which is what its ordinals count. */
export const faultKinds = [
  // At a request.
  'Slow',
  'HangBeforeHeaders',
  'HangMidStream',
  'Trickle',
  'Cut',
  'GarbageFrame',
  'Crash',
  // At a start.
  'FailedStart',
  // At a wake.
  'FailedWake',
  'PartialWake',
  'CorruptWake',
  // At a start and at a wake.
  'OutOfMemory',
  // At a sleep.
  'FailedSleep',
  'Leak',
] as const;
export type FaultKind = (typeof faultKinds)[number];

const FAULTS_MAX = 32;
const ORDINALS_MAX = 64;

const faultSchema = z
  .object({
    kind: z.enum(faultKinds).meta({
      description:
        'At a request: Slow, HangBeforeHeaders, HangMidStream, Trickle, Cut, GarbageFrame, Crash. At a start: FailedStart. ' +
        'At a wake: FailedWake, PartialWake, CorruptWake. At a start or a wake: OutOfMemory. At a sleep: FailedSleep, Leak.',
    }),
    chanceBasisPoints: z
      .int()
      .min(0)
      .max(10_000)
      .optional()
      .meta({ description: 'How often it strikes by chance: 10000 is always.' }),
    at: z.array(z.int().min(1).max(1_000_000_000)).min(1).max(ORDINALS_MAX).optional().meta({
      description:
        'The first is 1. Starts are counted for the revision in its slot; requests, wakes and sleeps since the start.',
      'x-kubernetes-list-type': 'set',
    }),
  })
  .meta({ description: 'One fault. Of several that strike at once the first in the list wins.' });
export type Fault = z.infer<typeof faultSchema>;

export const simulationSchema = z
  .object({
    faults: z
      .array(faultSchema)
      .max(FAULTS_MAX)
      .default([])
      .meta({ description: 'What goes wrong. Drawn from the seed and the ordinals alone, so a run can be repeated.' }),
    speedPercent: z.int().min(1).max(10_000).default(100).meta({
      description: 'How fast its time runs: 100 is as published, 1000 ten times as fast.',
    }),
  })
  .meta({ description: 'How the engine Sim behaves. An instance takes it over when it starts.' });
