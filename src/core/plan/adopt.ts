// What a new controller takes an agent's instances to be for, before it has told it anything: it keeps what it finds.
// Never names two instances awake, because no slot has two that are resident.
import type { InstanceReport } from '../../api/link.ts';
import type { Assignment } from './snapshot.ts';

export function adoptInstances(reports: readonly InstanceReport[]): Assignment[] {
  return reports.flatMap((report): Assignment[] => {
    const rung = rungOf(report);
    return rung === undefined ? [] : [{ model: report.model, revision: report.revision, rung }];
  });
}

function rungOf(report: InstanceReport): Assignment['rung'] | undefined {
  switch (report.rung) {
    case 'Awake':
    case 'Starting':
    case 'Waking':
      return 'Awake';
    case 'Asleep':
    case 'Sleeping':
    case 'Draining':
      return 'Asleep';
    case 'Staged':
    case 'Failed':
    case 'Stopping':
      return 'Staged';
    case 'Absent':
      return undefined;
  }
}
