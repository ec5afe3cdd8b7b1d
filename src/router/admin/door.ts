// Who may ask what on the administration port (DESIGN §11): programs of this machine and the port's own page. Beyond
// loopback only health, readiness and metrics answer. Pure: facts of a request in, a refusal or nothing out.
import { isLoopback, judgeOrigin, judgeSameOrigin } from '../../core/route/origin-rule.ts';

export interface DoorFacts {
  readonly method: string;
  /** The request target without its query. */
  readonly path: string;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  /** The address at the other end of the socket. */
  readonly peer: string | undefined;
}

/** Paths that say nothing of anybody's requests. A kubelet and a metrics scraper ask by Pod address. */
const openPaths: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/metrics']);
const noOtherNames: ReadonlySet<string> = new Set();

/** Undefined when the request may pass, else the sentence of a 403. `listensOn` is the address that the server is bound to. */
export function judgeDoor(facts: DoorFacts, listensOn: string): string | undefined {
  const beyondLoopback = !isLoopback(listensOn);
  if (beyondLoopback && openPaths.has(facts.path)) return judgeSameOrigin(facts);
  if (beyondLoopback && !isLoopbackPeer(facts.peer)) {
    return 'The status page is only for the machine that it runs on. "kubectl port-forward" brings it to yours.';
  }
  const foreign = judgeOrigin(facts, noOtherNames) ?? judgeSameOrigin(facts);
  if (foreign !== undefined) return foreign;
  const isWrite = facts.method !== 'GET' && facts.method !== 'HEAD';
  // Browsers name the origin of every POST. What names none is a program, and programs have the OpenAI address.
  if (isWrite && facts.origin === undefined) {
    return 'Only the page of this address may post here. Programs use the OpenAI address of Stoker.';
  }
  return undefined;
}

function isLoopbackPeer(peer: string | undefined): boolean {
  return peer !== undefined && isLoopback(peer.replace(/^::ffff:/i, ''));
}
