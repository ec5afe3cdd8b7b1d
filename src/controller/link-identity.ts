// What a cluster has to know of the link, kept true by the leader: the authority in a Secret, its certificates for spokes in a
// ConfigMap, and the leader's address behind the Service. All of it belongs to the Service and goes with it. Locally there is
// no Service and none of this. Never logs a key.
import { isIPv6 } from 'node:net';
import type { ClusterObject, OwnerReference } from '../api/group.ts';
import { type ConfigMap, type EndpointSlice, kinds, type Secret } from '../api/kinds.ts';
import { LINK_CA_CONFIG_MAP, LINK_CA_KEY, LINK_SERVICE } from '../api/link.ts';
import { type AuthorityStep, planAuthority } from '../core/plan/link-authority.ts';
import { backoffDelayMs } from '../lib/backoff.ts';
import { type Clock, delay } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { fail, ok, type Result } from '../lib/result.ts';
import type { Rng } from '../lib/rng.ts';
import {
  CERTIFICATE_DAYS,
  isPair,
  issueCertificate,
  type KeyPair,
  makeAuthority,
  readValidity,
} from '../link/authority.ts';
import type { Cluster } from '../ports/cluster.ts';
import { LINK_LOOK_MS, RETRY_BACKOFF } from './bounds.ts';

export const AUTHORITY_SECRET = 'stoker-link-tls';
const DAMAGED = `The key in the Secret ${AUTHORITY_SECRET} (ca.key) is not that of its certificate (ca.crt): put the right one back, or delete the Secret, and a new authority is made.`;
const MANAGER = 'stoker';
/** A third of its life is left when it is replaced. */
const RENEW_MS = (CERTIFICATE_DAYS * 86_400_000 * 2) / 3;

export interface LinkIdentityOptions {
  readonly cluster: Cluster;
  /** What spokes may call this hub: DNS names and addresses. */
  readonly names: readonly string[];
  /** This Pod, as the EndpointSlice names it. */
  readonly pod: { readonly name: string; readonly ip: string };
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  /** A certificate that takes the place of the last one. */
  onCertificate(tls: KeyPair): void;
  /** There is no certificate to begin with, and it is tried again. */
  onTrouble?(sentence: string): void;
}

export interface LinkIdentity {
  /** Reads or makes the authority, and resolves with a certificate of this hub. Tries until it has one; rejects on abort. */
  prepare(signal: AbortSignal): Promise<KeyPair>;
  /** From now on spokes find this hub at the Service. Looks again and again until the signal aborts. */
  announce(port: number, signal: AbortSignal): void;
}

export function createLinkIdentity(options: LinkIdentityOptions): LinkIdentity {
  return new KeptIdentity(options);
}

interface Authorities {
  readonly current: KeyPair;
  readonly next?: KeyPair;
}

class KeptIdentity implements LinkIdentity {
  readonly #options: LinkIdentityOptions;
  #signedBy = '';
  #issuedAtMs = 0;
  #told: string | undefined;

  constructor(options: LinkIdentityOptions) {
    this.#options = options;
  }

  async prepare(signal: AbortSignal): Promise<KeyPair> {
    const { clock, rng } = this.#options;
    for (let attempt = 0; ; attempt += 1) {
      const issued = await settled(() => this.#certify(signal));
      if (issued.ok) return issued.value;
      signal.throwIfAborted();
      this.#tell(issued.error);
      this.#options.onTrouble?.(`The link has no certificate: ${issued.error}`);
      await delay(clock, backoffDelayMs({ ...RETRY_BACKOFF, attempt, rng }), signal);
    }
  }

  announce(port: number, signal: AbortSignal): void {
    void this.#keepAnnouncing(port, signal).catch((error: unknown) => {
      if (!signal.aborted) this.#options.log.error({ error: String(error) }, 'the link is not announced any more');
    });
  }

  async #keepAnnouncing(port: number, signal: AbortSignal): Promise<void> {
    const { clock, rng } = this.#options;
    for (let attempt = 0; !signal.aborted; ) {
      const kept = await settled(() => this.#keepAnnounced(port, signal));
      const error = kept.ok ? undefined : kept.error;
      this.#tell(error);
      attempt = error === undefined ? 0 : attempt + 1;
      const waitMs = error === undefined ? LINK_LOOK_MS : backoffDelayMs({ ...RETRY_BACKOFF, attempt, rng });
      await delay(clock, waitMs, signal);
    }
  }

  /** Once for each sentence. */
  #tell(error: string | undefined): void {
    if (error !== undefined && error !== this.#told) {
      this.#options.log.warn({ error }, 'the link is not yet as the cluster must know it');
    }
    this.#told = error;
  }

  async #certify(signal: AbortSignal): Promise<Result<KeyPair, string>> {
    const authorities = await this.#keepAuthorities(signal);
    return authorities.ok ? ok(await this.#issue(authorities.value.current)) : authorities;
  }

  async #keepAnnounced(port: number, signal: AbortSignal): Promise<Result<undefined, string>> {
    const error = await this.#keepEndpoint(port, signal);
    return error === undefined ? this.#renew(signal) : fail(error);
  }

  async #renew(signal: AbortSignal): Promise<Result<undefined, string>> {
    const authorities = await this.#keepAuthorities(signal);
    if (!authorities.ok) return authorities;
    const { current } = authorities.value;
    // One that was issued far ahead was issued by a clock that was wrong, and nobody trusts it until then.
    const isDue = Math.abs(this.#options.clock.wallMs() - this.#issuedAtMs) >= RENEW_MS;
    if (isDue || current.cert !== this.#signedBy) this.#options.onCertificate(await this.#issue(current));
    return ok(undefined);
  }

  async #issue(authority: KeyPair): Promise<KeyPair> {
    const nowMs = this.#options.clock.wallMs();
    const issued = await issueCertificate(authority, this.#options.names, nowMs);
    this.#signedBy = authority.cert;
    this.#issuedAtMs = nowMs;
    return issued;
  }

  /** The Secret, as its plan wants it, and the ConfigMap after it. */
  async #keepAuthorities(signal: AbortSignal): Promise<Result<Authorities, string>> {
    const { cluster, clock } = this.#options;
    const found = await cluster.read(kinds.Secret, AUTHORITY_SECRET, signal);
    if (!found.ok && found.error.reason !== 'NotFound') return fail(found.error.message);
    const secret = found.ok ? found.value : undefined;
    const read = readAuthorities(secret);
    if (read.current !== undefined && !isPair(read.current)) return fail(DAMAGED);
    const nowMs = clock.wallMs();
    const ageOf = (pair: KeyPair | undefined) => (pair === undefined ? undefined : readValidity(pair.cert));
    const step = planAuthority(ageOf(read.current), ageOf(read.next), nowMs);
    const wanted = await takeStep(step, read, nowMs);
    const written = step === 'Keep' ? ok(undefined) : await this.#writeSecret(secret, wanted, signal);
    if (!written.ok) return written;
    const published = await this.#keepConfigMap(wanted, signal);
    return published.ok ? ok(wanted) : published;
  }

  async #writeSecret(found: Secret | undefined, wanted: Authorities, signal: AbortSignal) {
    const { cluster } = this.#options;
    const encode = (text: string) => Buffer.from(text).toString('base64');
    const { current, next } = wanted;
    const data = {
      'ca.crt': encode(current.cert),
      'ca.key': encode(current.key),
      ...(next === undefined ? {} : { 'next.crt': encode(next.cert), 'next.key': encode(next.key) }),
    };
    if (found === undefined) {
      const owned = await this.#owned(AUTHORITY_SECRET, signal);
      if (!owned.ok) return owned;
      const { apiVersion, kind } = kinds.Secret;
      const made = await cluster.create(kinds.Secret, {
        apiVersion,
        kind,
        metadata: owned.value,
        type: 'Opaque',
        data,
      });
      return made.ok ? ok(undefined) : fail(made.error.message);
    }
    const { resourceVersion } = found.metadata;
    const gone = next === undefined ? { 'next.crt': null, 'next.key': null } : {};
    const options = { signal, ...(resourceVersion === undefined ? {} : { resourceVersion }) };
    const written = await cluster.patch(kinds.Secret, AUTHORITY_SECRET, { data: { ...data, ...gone } }, options);
    return written.ok ? ok(undefined) : fail(written.error.message);
  }

  async #keepConfigMap({ current, next }: Authorities, signal: AbortSignal): Promise<Result<undefined, string>> {
    const { cluster } = this.#options;
    const data = { [LINK_CA_KEY]: current.cert + (next?.cert ?? '') };
    const found = await cluster.read(kinds.ConfigMap, LINK_CA_CONFIG_MAP, signal);
    if (found.ok) {
      if (found.value.data?.[LINK_CA_KEY] === data[LINK_CA_KEY]) return ok(undefined);
      const written = await cluster.patch(kinds.ConfigMap, LINK_CA_CONFIG_MAP, { data }, { signal });
      return written.ok ? ok(undefined) : fail(written.error.message);
    }
    if (found.error.reason !== 'NotFound') return fail(found.error.message);
    const owned = await this.#owned(LINK_CA_CONFIG_MAP, signal);
    if (!owned.ok) return owned;
    const { apiVersion, kind } = kinds.ConfigMap;
    const configMap: ConfigMap = { apiVersion, kind, metadata: owned.value, data };
    const made = await cluster.create(kinds.ConfigMap, configMap, signal);
    return made.ok ? ok(undefined) : fail(made.error.message);
  }

  /** A sentence when it is not as it should be. The family of an EndpointSlice cannot change: it is made anew then. */
  async #keepEndpoint(port: number, signal: AbortSignal): Promise<string | undefined> {
    const { cluster } = this.#options;
    const wanted = this.#renderEndpoint(port);
    const found = await cluster.read(kinds.EndpointSlice, LINK_SERVICE, signal);
    if (!found.ok && found.error.reason !== 'NotFound') return found.error.message;
    if (found.ok && found.value.addressType === wanted.addressType) {
      if (isSameEndpoint(found.value, wanted)) return undefined;
      const { endpoints, ports } = wanted;
      const written = await cluster.patch(kinds.EndpointSlice, LINK_SERVICE, { endpoints, ports }, { signal });
      return written.ok ? undefined : written.error.message;
    }
    if (found.ok) {
      const removed = await cluster.remove(kinds.EndpointSlice, LINK_SERVICE, { signal });
      if (!removed.ok) return removed.error.message;
    }
    const owned = await this.#owned(LINK_SERVICE, signal);
    if (!owned.ok) return owned.error;
    const labels = { 'kubernetes.io/service-name': LINK_SERVICE, 'endpointslice.kubernetes.io/managed-by': MANAGER };
    const slice = { ...wanted, metadata: { ...owned.value, labels } };
    const made = await cluster.create(kinds.EndpointSlice, slice, signal);
    return made.ok ? undefined : made.error.message;
  }

  #renderEndpoint(port: number): EndpointSlice {
    const { pod, cluster } = this.#options;
    const { apiVersion, kind } = kinds.EndpointSlice;
    const targetRef = { kind: 'Pod', name: pod.name, namespace: cluster.namespace };
    return {
      apiVersion,
      kind,
      metadata: { name: LINK_SERVICE },
      addressType: isIPv6(pod.ip) ? 'IPv6' : 'IPv4',
      endpoints: [{ addresses: [pod.ip], conditions: { ready: true }, targetRef }],
      ports: [{ name: 'link', port, protocol: 'TCP' }],
    };
  }

  /** Owned by the Service, so that uninstalling it leaves nothing. */
  async #owned(name: string, signal: AbortSignal): Promise<Result<ClusterObject['metadata'], string>> {
    const service = await this.#options.cluster.read(kinds.Service, LINK_SERVICE, signal);
    if (!service.ok) return fail(`the Service ${LINK_SERVICE} is needed: ${service.error.message}`);
    const { apiVersion, kind } = kinds.Service;
    const owner: OwnerReference = { apiVersion, kind, name: LINK_SERVICE, uid: service.value.metadata.uid ?? '' };
    return ok({ name, ownerReferences: [owner] });
  }
}

async function takeStep(step: AuthorityStep, read: Partial<Authorities>, nowMs: number): Promise<Authorities> {
  const { current, next } = read;
  if (step === 'UseNext' && next !== undefined) return { current: next };
  if (step === 'MakeNext' && current !== undefined) return { current, next: await makeAuthority(nowMs) };
  if (step === 'Keep' && current !== undefined) return { current, ...(next === undefined ? {} : { next }) };
  return { current: await makeAuthority(nowMs) };
}

/** A failure of any kind is one to try again after: neither loop may end by it. */
async function settled<T>(work: () => Promise<Result<T, string>>): Promise<Result<T, string>> {
  try {
    return await work();
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

/** What cannot be read is as if it were not there; so is a successor that could not sign. A key that was there may be put back. */
function readAuthorities(secret: Secret | undefined): Partial<Authorities> {
  const pair = (name: string): KeyPair | undefined => {
    const [cert, key] = [decode(secret?.data?.[`${name}.crt`]), decode(secret?.data?.[`${name}.key`])];
    return key !== '' && readValidity(cert) !== undefined ? { cert, key } : undefined;
  };
  const [current, next] = [pair('ca'), pair('next')];
  return { ...(current === undefined ? {} : { current }), ...(next === undefined || !isPair(next) ? {} : { next }) };
}

function decode(text = ''): string {
  return Buffer.from(text, 'base64').toString();
}

function isSameEndpoint(found: EndpointSlice, wanted: EndpointSlice): boolean {
  const facts = ({ endpoints, ports }: EndpointSlice) =>
    JSON.stringify([
      endpoints.map(({ addresses, conditions }) => [addresses, conditions?.ready]),
      ports.map((p) => p.port),
    ]);
  return facts(found) === facts(wanted);
}
