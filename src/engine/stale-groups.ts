// Ends engines that an earlier agent left behind when it crashed. Decides by the records alone: pid and start time must both
// match, so that a process that only has the same number is never touched.
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { GroupRecords } from './group-records.ts';
import { sweep } from './process-group.ts';

/** Resolves with how many groups were found running and have been ended. */
export async function endStaleGroups(options: { records: GroupRecords; clock: Clock; log: Log }): Promise<number> {
  let ended = 0;
  for (const { instance, pid, startTicks, isRunning } of await options.records.findStale()) {
    if (isRunning) {
      ended += 1;
      options.log.warn({ instance, pid }, 'an engine of an earlier agent is still running and is ended');
    }
    await sweep(isRunning ? { instance, leader: { pid, startTicks } } : { instance }, options.clock);
    await options.records.remove(instance);
  }
  return ended;
}
