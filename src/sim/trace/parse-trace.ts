// A trace from the text of a file in any of the formats that are read: the content says which it is, not the name.
// Never reads a file: who calls it gives the text.
import type { Trace } from '../request.ts';
import { parseCsvTrace } from './csv.ts';
import { parseMooncakeTrace } from './mooncake.ts';

export function parseTrace(name: string, text: string): Trace {
  return text.trimStart().startsWith('{') ? parseMooncakeTrace(name, text) : parseCsvTrace(name, text);
}

/** Every request `times` times: the copies come spread over the time until the next one, so that bursts stay bursts. */
export function multiplyTrace(trace: Trace, times: number): Trace {
  const { requests } = trace;
  const copies = requests.flatMap((request, index) => {
    const gapMs = (requests[index + 1]?.atMs ?? request.atMs) - request.atMs;
    return Array.from({ length: times }, (_, copy) => ({ ...request, atMs: request.atMs + (gapMs * copy) / times }));
  });
  return { name: `${trace.name} x${times}`, requests: copies };
}
