// Who may talk to a port that asks for no key: only programs and pages of this machine (DESIGN §11). A page of another
// site, or a name that somebody made point here, is refused. Pure: header values in, verdict out.

const loopbackNames = new Set(['localhost', '127.0.0.1', '[::1]']);

/** True for an address that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === '::1' || host === 'localhost' || /^127(\.[0-9]{1,3}){3}$/.test(host);
}

export interface OriginFacts {
  /** The Host header. */
  readonly host: string | undefined;
  /** The Origin header; programs send none, pages always do when they post. */
  readonly origin: string | undefined;
}

/** Undefined when the request may pass, else a sentence. `allowed` holds host names or host:port beyond loopback. */
export function judgeOrigin(facts: OriginFacts, allowed: ReadonlySet<string>): string | undefined {
  if (facts.host === undefined || !isAllowedHost(facts.host, allowed)) {
    return 'This address answers only to 127.0.0.1, localhost and [::1]: the Host header names something else.';
  }
  if (facts.origin === undefined) return undefined;
  const host = hostOfOrigin(facts.origin);
  if (host !== undefined && isAllowedHost(host, allowed)) return undefined;
  return 'Pages of another origin may not use this address without an API key.';
}

/** For the administration's own page: the origin, when there is one, must be this very host and port. */
export function judgeSameOrigin(facts: OriginFacts): string | undefined {
  if (facts.origin === undefined) return undefined;
  if (facts.host !== undefined && hostOfOrigin(facts.origin) === facts.host.toLowerCase()) return undefined;
  return 'Only the page of this address may do that.';
}

function hostOfOrigin(origin: string): string | undefined {
  return /^https?:\/\/([^/@?#\s]+)$/i.exec(origin)?.[1]?.toLowerCase();
}

function isAllowedHost(host: string, allowed: ReadonlySet<string>): boolean {
  const lower = host.toLowerCase();
  const match = /^(\[[0-9a-f:.]+\]|[^:@/?#\s]+)(:[0-9]{1,5})?$/.exec(lower);
  if (match === null) return false;
  const name = match[1] ?? '';
  return loopbackNames.has(name) || allowed.has(name) || allowed.has(lower);
}
