// What the fakes of other people's engines compute: tokens that follow from prompt and weights alone, so that answers repeat
// and corrupted weights show. And the faults that a test asks for, in a file beside the weights, read anew at every look.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

export interface Faults {
  /** How long the load takes. */
  loadMs?: number;
  /** The load ends the process with the engine's own words for having no memory. */
  failsLoad?: boolean;
  /** Another process has the port by the time it is bound. */
  losesPort?: boolean;
  /** The order to sleep is answered and nothing happens. */
  ignoresSleep?: boolean;
  /** The wake is answered, and the weights are garbage. */
  corruptsWake?: boolean;
  /** The wake is answered with 500. */
  failsWake?: boolean;
  /** The orders to sleep and to wake are carried out, and their connection breaks before the answer. */
  breaksOrders?: boolean;
  /** What computes is gone; what answers is not. */
  losesCore?: boolean;
  /** Metrics show a request that is long over. */
  staleFigures?: boolean;
  /** SIGTERM does nothing. */
  ignoresTerm?: boolean;
  /** Between two tokens. */
  tokenMs?: number;
}

export interface Token {
  readonly id: number;
  readonly text: string;
  readonly logprob: number;
}

const words = [
  'warm',
  'cold',
  'model',
  'slot',
  'wakes',
  'sleeps',
  'fast',
  'queue',
  'token',
  'answer',
  'held',
  'served',
];

/** `weights` is what the engine believes to hold: other weights give other tokens. */
export function tokensOf(prompt: string, weights: string, count: number): Token[] {
  return Array.from({ length: count }, (_, at) => {
    const digest = createHash('sha256').update(`${weights}|${prompt}|${at}`).digest();
    const id = digest.readUInt32BE(0) % 32_000;
    return { id, text: ` ${words[id % words.length]}`, logprob: -(digest.readUInt16BE(4) / 65_536) * 2 };
  });
}

/** About what a tokenizer makes of it. */
export function countTokens(text: string): number {
  return Math.max(1, Math.ceil(text.length / 4));
}

export function readFaults(path: string): Faults {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Faults;
  } catch {
    return {};
  }
}
