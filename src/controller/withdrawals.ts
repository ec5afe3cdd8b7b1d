// Tells a slot that leaves when no router's table names it any more, or when it was waited for long enough: from then on it
// may refuse. Says it once in each session; never about a slot that stays.
import { WITHDRAW_MS_MAX } from './bounds.ts';
import { type AgentRecord, type Fleet, isOutdated } from './fleet.ts';
import { areEndpointsAcknowledged } from './tables.ts';

interface WithdrawalOptions {
  readonly fleet: Fleet;
  nextFence(): { readonly epoch: number; readonly seq: number };
}

/** Returns the function to call after every router was brought up to date. */
export function createWithdrawals({ fleet, nextFence }: WithdrawalOptions): (nowMs: number) => void {
  return (nowMs) => {
    const areClear = areEndpointsAcknowledged(fleet);
    for (const record of fleet.agents.values()) {
      const { session, leavingSinceMs } = record;
      const isUntold = session !== undefined && mayBeTold(record);
      if (!isUntold || leavingSinceMs === undefined) continue;
      const isDue = areClear || nowMs - leavingSinceMs >= WITHDRAW_MS_MAX;
      if (isDue && session.send({ type: 'withdrawn', ...nextFence() })) record.withdrawnTo = session.id;
    }
  };
}

/** Once in a session. One that cannot be told waits as long as it would for a controller that is away. */
function mayBeTold(record: AgentRecord): boolean {
  return record.withdrawnTo !== record.session?.id && !isOutdated(record);
}
