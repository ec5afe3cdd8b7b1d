// Who is asking. With keys configured: the tenant of the key, or 401. Without keys: programs and pages of this machine,
// as tenant `default` (DESIGN §11). Never logs what was presented.
import { judgeOrigin } from '../../core/route/origin-rule.ts';
import { type ApiKeys, DEFAULT_TENANT } from '../api-keys.ts';
import type { Call } from '../call.ts';
import { Ending } from '../ending.ts';

export interface Door {
  readonly apiKeys: ApiKeys | undefined;
  /** Host names, beside the loopback ones, that a port without keys answers to. */
  readonly hosts: ReadonlySet<string>;
}

/** Throws an Ending when the caller may not come in. Sets the tenant, and what a page needs to read the answer. */
export function authenticate(call: Call, door: Door): void {
  judgePage(call, door);
  const tenant =
    door.apiKeys === undefined ? DEFAULT_TENANT : door.apiKeys.tenantOf(call.request.headers.authorization);
  if (tenant !== undefined) {
    call.record.tenant = tenant;
    return;
  }
  throw new Ending(
    'invalid_api_key',
    call.request.headers.authorization === undefined
      ? 'An API key is needed: send it as "Authorization: Bearer KEY".'
      : 'This API key is not known here.',
    { headers: { 'www-authenticate': 'Bearer' } },
  );
}

/** A page's question before its request. True when it was one and may pass. */
export function isPreflight(call: Call, door: Door): boolean {
  const { method, headers } = call.request;
  if (method !== 'OPTIONS' || headers.origin === undefined) return false;
  if (headers['access-control-request-method'] === undefined) return false;
  judgePage(call, door);
  return true;
}

export const preflightHeaders: Readonly<Record<string, string>> = {
  'access-control-allow-methods': 'GET, POST',
  'access-control-allow-headers': '*, authorization',
  'access-control-max-age': '600',
};

/** Where a key is needed, the key protects: any page may ask. Where none is, only pages of this machine may. */
function judgePage(call: Call, door: Door): void {
  const { host, origin } = call.request.headers;
  if (door.apiKeys === undefined) {
    const sentence = judgeOrigin({ host, origin }, door.hosts);
    if (sentence !== undefined) throw new Ending('origin_not_allowed', sentence);
  }
  if (origin === undefined || !/^[\x21-\x7e]{1,300}$/.test(origin)) return;
  call.headers.set('access-control-allow-origin', origin);
  call.headers.set('access-control-expose-headers', '*');
  call.headers.set('vary', 'origin');
}
