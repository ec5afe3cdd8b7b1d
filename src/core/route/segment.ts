// A part of the text that a model will see, by its place in the caller's original bytes and by who it comes from.
// Rendered only where a stage needs it: a segment never holds the text itself.

export interface Segment {
  /** Who wrote it. Text that was found or generated on the way will have other names. */
  readonly provenance: 'Caller';
  readonly start: number;
  readonly end: number;
}

/** Bytes of UTF-8 for one token, a rough mean over languages; only for weighing requests against each other. */
const BYTES_PER_TOKEN = 4;

/** Estimated prompt tokens of all segments. */
export function estimateTokens(segments: readonly Segment[]): number {
  const bytes = segments.reduce((sum, segment) => sum + segment.end - segment.start, 0);
  return Math.max(1, Math.ceil(bytes / BYTES_PER_TOKEN));
}
