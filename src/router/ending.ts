// How a request ends when it does not end with a whole answer: one outcome of the closed list, a sentence, and what the
// caller is told beside it. The first ending of a request wins. Never holds content or secrets.
import type { OutcomeCode } from '../api/outcomes.ts';

export interface EndingDetails {
  /** The field that is wrong, as the caller wrote it. */
  readonly param?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  /** An error body that the engine wrote for the caller, passed on as it is, with its status. */
  readonly passed?: { readonly status: number; readonly body: Uint8Array };
}

export class Ending extends Error {
  override readonly name = 'Ending';
  readonly code: OutcomeCode;
  readonly details: EndingDetails;

  constructor(code: OutcomeCode, sentence: string, details: EndingDetails = {}) {
    super(sentence);
    this.code = code;
    this.details = details;
  }
}

/** What was thrown, as an ending. Anything unforeseen is our fault. */
export function endingOf(error: unknown): Ending {
  return error instanceof Ending ? error : new Ending('internal_error', 'Stoker made a mistake with this request.');
}
