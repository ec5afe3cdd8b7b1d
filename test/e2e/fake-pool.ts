// A Pool on nodes that are only objects: its slots are counted by the scheduler, and nothing runs in them.
import { API_VERSION } from '../../src/api/group.ts';
import { FAKE_NODE_MARK } from '../support/cluster/kwok.ts';

export function fakePool(name: string, slots: number): object {
  return {
    apiVersion: API_VERSION,
    kind: 'Pool',
    metadata: { name },
    spec: {
      accelerator: { resourceName: 'stoker.dev/fake-gpu', countPerSlot: 1, className: 'fake' },
      slots: { min: slots, max: slots },
      maxDrainSeconds: 5,
      pod: { tolerations: [{ key: FAKE_NODE_MARK, operator: 'Exists', effect: 'NoSchedule' }] },
    },
  };
}
