// Who is asking. With keys configured: the tenant of the key, or 401. Without keys: programs and pages of this machine,
// as tenant `default` (DESIGN §11). Never logs what was presented.
import { judgeOrigin, type OriginFacts } from '../../core/route/origin-rule.ts';
import { DEFAULT_TENANT, type KeyRing } from '../api-keys.ts';
import { type Call, headerOf } from '../call.ts';
import { Ending } from '../ending.ts';

export interface Door {
  readonly apiKeys: KeyRing | undefined;
  /** Host names, beside the loopback ones, that a port without keys answers to. */
  readonly hosts: ReadonlySet<string>;
}

/** Throws an Ending when the caller may not come in. Sets the tenant, and what a page needs to read the answer. */
export function authenticate(call: Call, door: Door): void {
  admitPage(call, door);
  const tenant =
    door.apiKeys === undefined ? DEFAULT_TENANT : door.apiKeys.tenantOf(headerOf(call.head, 'authorization'));
  if (tenant !== undefined) {
    call.record.tenant = tenant;
    return;
  }
  throw unknownKey(headerOf(call.head, 'authorization') !== undefined);
}

export function unknownKey(wasPresented: boolean): Ending {
  return new Ending(
    'invalid_api_key',
    wasPresented ? 'This API key is not known here.' : 'An API key is needed: send it as "Authorization: Bearer KEY".',
    { headers: { 'www-authenticate': 'Bearer' } },
  );
}

/** A page's question before its request. True when it was one and may pass. */
export function isPreflight(call: Call, door: Door): boolean {
  const { method, headers } = call.head;
  if (method !== 'OPTIONS' || headers.origin === undefined) return false;
  if (headers['access-control-request-method'] === undefined) return false;
  admitPage(call, door);
  return true;
}

export const preflightHeaders: Readonly<Record<string, string>> = {
  'access-control-allow-methods': 'GET, POST',
  'access-control-allow-headers': '*, authorization',
  'access-control-max-age': '600',
};

/** Where a key is needed, the key protects: any page may ask. Where none is, only pages of this machine may. */
export function judgePage(facts: OriginFacts, door: Door): void {
  if (door.apiKeys !== undefined) return;
  const sentence = judgeOrigin(facts, door.hosts);
  if (sentence !== undefined) throw new Ending('origin_not_allowed', sentence);
}

function admitPage(call: Call, door: Door): void {
  const [host, origin] = [headerOf(call.head, 'host'), headerOf(call.head, 'origin')];
  judgePage({ host, origin }, door);
  if (origin === undefined || !/^[\x21-\x7e]{1,300}$/.test(origin)) return;
  call.headers.set('access-control-allow-origin', origin);
  call.headers.set('access-control-expose-headers', '*');
  call.headers.set('vary', 'origin');
}
