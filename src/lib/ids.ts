// Names that must be unguessable or deterministic: public ids, instance ids, child names.
import { createHash, randomBytes, randomUUID } from 'node:crypto';

/** A public id: the prefix and 128 random bits in hex, for example `chatcmpl-3f…`. */
export function publicId(prefix: string): string {
  return `${prefix}${randomBytes(16).toString('hex')}`;
}

/** A version 4 UUID, as Kubernetes gives to objects. */
export function uuid(): string {
  return randomUUID();
}

export interface InstanceId {
  readonly podUid: string;
  readonly revision: string;
  /** Counts the starts of this revision in this slot, from 1. A report about an older incarnation is stale. */
  readonly incarnation: number;
}

export function renderInstanceId(id: InstanceId): string {
  return `${id.podUid}/${id.revision}/${id.incarnation}`;
}

export function parseInstanceId(text: string): InstanceId | undefined {
  const [podUid, revision, incarnation, ...rest] = text.split('/');
  if (!podUid || !revision || !incarnation || rest.length > 0 || !/^[1-9][0-9]{0,8}$/.test(incarnation))
    return undefined;
  return { podUid, revision, incarnation: Number(incarnation) };
}

/** The slot's Pod name of DESIGN §6: the same (pool uid, serial) always gives the same name. */
export function slotName(pool: string, poolUid: string, serial: number): string {
  const hex = createHash('sha256').update(`${poolUid},${serial}`).digest('hex').slice(0, 8);
  return `${pool}-${hex}`;
}
