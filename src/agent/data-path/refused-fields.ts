// Fields that must not reach an engine: looked for in the body while it passes by. The engine acts on nothing before the body
// is whole, and with such a field it never will be.
import type { ServerResponse } from 'node:http';
import { renderErrorBody } from '../../api/outcomes.ts';
import { createNameScan } from '../../core/stream/name-scan.ts';
import { RequestCut } from '../in-flight.ts';
import { sendJson } from './outgoing.ts';

const STATUS = 400;

export class FieldRefused extends RequestCut {
  readonly field: string;

  constructor(field: string) {
    super('invalid_request', `The field ${field} cannot be set here.`);
    this.field = field;
  }
}

/** The same chunks. Throws FieldRefused in the place of the one that completes the name of a refused field. */
export async function* checkFields(
  chunks: AsyncIterable<Buffer>,
  refused: ReadonlySet<string> | undefined,
): AsyncGenerator<Buffer> {
  const scan = createNameScan();
  for await (const chunk of chunks) {
    const field = refused === undefined ? undefined : scan.push(chunk).find((name) => refused.has(name));
    if (field !== undefined) throw new FieldRefused(field);
    yield chunk;
  }
}

export function sendFieldRefused(response: ServerResponse, { code, message, field }: FieldRefused): void {
  sendJson(response, STATUS, JSON.stringify(renderErrorBody(code, message, field)));
}
