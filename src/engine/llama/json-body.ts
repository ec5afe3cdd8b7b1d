// Reads the body of one request as JSON, never more than its bound, and never after the caller hung up.
import type { IncomingMessage } from 'node:http';
import { Refusal } from './refusal.ts';

/**
 * Undefined for an empty body. Rejects with a Refusal: body_too_large as soon as the bound is passed (what still comes is
 * thrown away, so that the answer can be read), invalid_request when it is not JSON, client_gone.
 */
export async function readJsonBody(request: IncomingMessage, bytesMax: number): Promise<unknown> {
  const bytes = await readBody(request, bytesMax);
  if (bytes.length === 0) return undefined;
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown;
  } catch {
    throw new Refusal('invalid_request', 'The body is not JSON.', 'body');
  }
}

function readBody(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const onChunk = (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= bytesMax) {
        chunks.push(chunk);
        return;
      }
      request.off('data', onChunk);
      request.resume();
      reject(new Refusal('body_too_large', `The body is larger than ${bytesMax} bytes.`, 'body'));
    };
    const onGone = () => reject(new Refusal('client_gone', 'The caller hung up before the whole body came.'));
    request.on('data', onChunk);
    request.once('end', () => resolve(Buffer.concat(chunks)));
    request.once('error', onGone);
    request.once('close', onGone);
  });
}
