// The kinds of work in the controller's queue. Decides nothing.
import type { kinds } from '../api/kinds.ts';

export type Kind = 'Pool' | 'Model' | 'Pin' | 'ModelRevision' | 'Upstream' | 'Slot' | 'Learned';

/** The object that a key is about. */
export const KIND_OF = {
  Pool: 'Pool',
  Model: 'Model',
  Pin: 'Model',
  ModelRevision: 'ModelRevision',
  Upstream: 'ModelRevision',
  Slot: 'Pod',
  Learned: 'Model',
} as const satisfies Record<Kind, keyof typeof kinds>;
