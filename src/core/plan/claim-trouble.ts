// A Pod that no node takes because of a volume claim, in the words of the scheduler: which field of the Pool names the claim, and
// what to do. More nodes would not help. Pure. Says nothing where a node has the volume and only lacks room.
import type { Pod } from '../../api/kinds.ts';

/** The names of volumes in Pods of ours. */
export const WEIGHTS_VOLUME = 'weights';
export const COMPILE_CACHE_VOLUME = 'compile-cache';

const FIELDS: Readonly<Record<string, string>> = {
  [WEIGHTS_VOLUME]: 'spec.weights.claimName',
  [COMPILE_CACHE_VOLUME]: 'spec.compileCache.claimName',
};

/** Of the scheduler of Kubernetes 1.30 to 1.34. The first three are about the Pod, the others about some of the nodes. */
const MISSING = /persistentvolumeclaim "([^"]+)" not found/;
const DELETED = /persistentvolumeclaim "([^"]+)" is being deleted/;
const UNBOUND = /unbound immediate PersistentVolumeClaims|bound to non-existent (?:persistentvolume|pv)/;
const NOT_BINDABLE = /didn't find available persistent volumes to bind/;
const ELSEWHERE =
  /volume node affinity conflict|didn't match PersistentVolume's node affinity|no available volume zone/;
/** Other nodes could use the volume. */
const LACKS_ROOM = /Insufficient |Too many pods/;

export interface ClaimTrouble {
  /** Missing: it has to be made. Unusable: it may be bound, or have a node, in a while. */
  readonly reason: 'ClaimMissing' | 'ClaimUnusable';
  readonly remedy: string;
}

interface Claim {
  readonly name: string;
  readonly field: string;
}

/** `said` is the scheduler's message. Undefined: it is not about a claim of the Pool, or not about that alone. */
export function findClaimTrouble(pod: Pod, said: string): ClaimTrouble | undefined {
  const claims = listClaims(pod);
  if (claims.length === 0) return undefined;
  const missing = pickClaim(claims, MISSING.exec(said)?.[1]);
  if (missing !== undefined) {
    const remedy = `Make the claim ${missing.name}, or name another one in ${missing.field} of the Pool.`;
    return { reason: 'ClaimMissing', remedy };
  }
  const deleted = pickClaim(claims, DELETED.exec(said)?.[1]);
  if (deleted !== undefined) {
    const remedy = `The claim ${deleted.name} is being deleted: make it anew, or name another one in ${deleted.field} of the Pool.`;
    return { reason: 'ClaimMissing', remedy };
  }
  const isFull = LACKS_ROOM.test(said);
  if (UNBOUND.test(said) || (NOT_BINDABLE.test(said) && !isFull)) {
    const remedy = `The claim ${nameClaims(claims)} has no volume: kubectl describe pvc ${claims.map(({ name }) => name).join(' ')} says why.`;
    return { reason: 'ClaimUnusable', remedy };
  }
  if (!ELSEWHERE.test(said) || isFull) return undefined;
  const remedy = `The volume of the claim ${nameClaims(claims)} is not to be had on any node that would take the Pod: let nodeSelector and tolerations in spec.pod of the Pool allow its nodes, bring back the node that has it, or name a claim that other nodes can use.`;
  return { reason: 'ClaimUnusable', remedy };
}

/** What more nodes have to have, beside room. */
export function demandOfClaims(pod: Pod, said: string): string {
  const claims = ELSEWHERE.test(said) || NOT_BINDABLE.test(said) ? listClaims(pod) : [];
  return claims.length === 0 ? '' : ` Only nodes count that can use the volume of the claim ${nameClaims(claims)}.`;
}

function listClaims({ spec }: Pod): Claim[] {
  return (spec.volumes ?? []).flatMap(({ name: volume, persistentVolumeClaim }) => {
    const field = FIELDS[volume];
    return field === undefined || persistentVolumeClaim === undefined
      ? []
      : [{ name: persistentVolumeClaim.claimName, field }];
  });
}

/** One claim may be named by several fields. */
function pickClaim(claims: readonly Claim[], name: string | undefined): Claim | undefined {
  const found = claims.filter((claim) => claim.name === name);
  const [first] = found;
  return first === undefined ? undefined : { ...first, field: found.map(({ field }) => field).join(' and ') };
}

function nameClaims(claims: readonly Claim[]): string {
  return claims.map(({ name, field }) => `${name} (${field} of the Pool)`).join(' or ');
}
