// Who may open a link session: agents of slots that a Pool owns, and routers. The token says who it is; the cache says
// whether that is one of ours. Never takes a name or an address from what the caller says of itself.
import { kinds } from '../api/kinds.ts';
import { LINK_AUDIENCE } from '../api/link.ts';
import type { Log } from '../lib/log.ts';
import type { Cluster, ClusterErrorReason, TokenIdentity } from '../ports/cluster.ts';
import type { AgentSession, HubHandlers, HubSession } from '../ports/link.ts';
import { isLeaving, poolUidOf } from './slot-pod.ts';

/** The API server said nothing about the token. */
const PASSING: ReadonlySet<ClusterErrorReason> = new Set(['Unavailable', 'Timeout', 'Throttled', 'Aborted']);

const REMEDY = 'Bind the ClusterRole system:auth-delegator to the ServiceAccount of the controller.';

interface DoorOptions {
  readonly cluster: Cluster;
  readonly routerUsername: string;
  readonly slotUsername: string;
  readonly epoch: number;
  readonly log: Log;
}

export function createDoor(options: DoorOptions): Pick<HubHandlers, 'authenticate' | 'admit'> {
  const { cluster, routerUsername, slotUsername, epoch, log } = options;
  return {
    async authenticate(token) {
      const review = await cluster.reviewToken(token, LINK_AUDIENCE);
      if (!review.ok) {
        log.debug({ reason: review.error.reason }, 'a link token was not accepted');
        // A server that cannot answer now has refused nobody: the caller is told to come again.
        if (PASSING.has(review.error.reason)) throw new Error(review.error.message);
        // It is the controller that was refused, and a person has to help.
        if (review.error.reason === 'Forbidden') throw new Error(`${review.error.message}. ${REMEDY}`);
        return undefined;
      }
      return isExpected(review.value, routerUsername, slotUsername) ? review.value : undefined;
    },
    admit(session) {
      if (session.hello.fence.epoch > epoch) return 'a newer controller was obeyed before: this one is over';
      return session.role === 'agent'
        ? refuseAgent(session, { cluster, slotUsername })
        : refuseRouter(session, routerUsername);
    },
  };
}

function isExpected({ username, podUid }: TokenIdentity, router: string, slot: string): boolean {
  return username === router || (username === slot && podUid !== undefined);
}

function refuseRouter({ identity }: HubSession, routerUsername: string): string | undefined {
  return identity.username === routerUsername ? undefined : 'only a router may say hello as one';
}

function refuseAgent(
  { hello, identity }: AgentSession,
  { cluster, slotUsername }: { cluster: Cluster; slotUsername: string },
): string | undefined {
  if (identity.username !== slotUsername) return 'only a slot may say hello as an agent';
  if (identity.podUid !== hello.podUid) return 'the token belongs to another Pod';
  const pod = cluster.get(kinds.Pod, identity.podName ?? hello.name);
  if (pod === undefined || pod.metadata.uid !== hello.podUid) return 'there is no such Pod (yet)';
  const poolUid = poolUidOf(pod);
  const isOwned = cluster.list(kinds.Pool).some((pool) => pool.metadata.uid === poolUid);
  // A slot that leaves drains under orders to its end, also when its Pool is gone from the cache.
  return isOwned || isLeaving(pod) ? undefined : 'no Pool owns this Pod';
}
