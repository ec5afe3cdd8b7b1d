// What a request's head says and whether it may come in. Decided before a byte of the body is read, in this order:
// key, path, method, headers, then the slot's own admission.
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { inferencePaths, type Refusal, SLOT_HEADERS } from '../../api/data-path.ts';
import type { OutcomeCode } from '../../api/outcomes.ts';
import type { Admission, Flight } from '../slot.ts';
import { BODY_BYTES_MAX, REMAINING_MS_DEFAULT, REMAINING_MS_MAX } from './bounds.ts';

export interface RequestHead {
  readonly path: string;
  readonly responseId: string;
  readonly remainingMs: number;
  /** Undefined when the body comes in chunks. */
  readonly bodyBytes: number | undefined;
}

export type HeadDecision =
  | { readonly type: 'admitted'; readonly head: RequestHead; readonly flight: Flight }
  | { readonly type: 'refused'; readonly refusal: Refusal }
  | { readonly type: 'wrong'; readonly code: OutcomeCode; readonly message: string };

export interface Door {
  accepts(authorization: string | undefined): boolean;
  admit(instance: string): Admission;
}

export function decideHead(request: IncomingMessage, door: Door): HeadDecision {
  const { headers } = request;
  if (!door.accepts(headers.authorization)) return { type: 'refused', refusal: 'StaleKey' };
  const [path = ''] = (request.url ?? '').split('?', 1);
  if (!inferencePaths.has(path)) return wrong('route_not_found', `There is no inference path ${path.slice(0, 100)}.`);
  if (request.method !== 'POST') return wrong('method_not_allowed', `${path} takes POST.`);
  const head = parseHead(path, headers);
  if ('type' in head) return head;
  const admission = door.admit(text(headers, SLOT_HEADERS.instance));
  return admission.type === 'refused' ? admission : { type: 'admitted', head, flight: admission.flight };
}

function parseHead(path: string, headers: IncomingHttpHeaders): RequestHead | Extract<HeadDecision, { type: 'wrong' }> {
  const responseId = text(headers, SLOT_HEADERS.responseId);
  if (!/^[A-Za-z0-9_-]{1,128}$/.test(responseId)) {
    return wrong('invalid_request', `The header ${SLOT_HEADERS.responseId} must name the response.`);
  }
  const remaining = text(headers, SLOT_HEADERS.remainingMs);
  if (!/^[0-9]{0,12}$/.test(remaining)) {
    return wrong('invalid_request', `The header ${SLOT_HEADERS.remainingMs} must be a whole number of milliseconds.`);
  }
  const length = headers['content-length'];
  const bodyBytes = length === undefined ? undefined : Number(length);
  if (bodyBytes !== undefined && bodyBytes > BODY_BYTES_MAX) return wrong('body_too_large', tooLarge);
  const remainingMs = remaining === '' ? REMAINING_MS_DEFAULT : Math.min(Number(remaining), REMAINING_MS_MAX);
  return { path, responseId, remainingMs, bodyBytes };
}

export const tooLarge = `The request's body has more than ${BODY_BYTES_MAX} bytes.`;

function wrong(code: OutcomeCode, message: string) {
  return { type: 'wrong', code, message } as const;
}

function text(headers: IncomingHttpHeaders, name: string): string {
  const value = headers[name];
  return typeof value === 'string' ? value : '';
}
