// Every condition of our objects, with the status that is well: the reference page docs/reference/conditions.md is made of it and of
// the reasons beside it. Decides nothing.

export interface ConditionType {
  readonly kind: 'Pool' | 'Model' | 'ModelRevision';
  readonly type: string;
  /** The status that is well. */
  readonly well: 'True' | 'False';
  readonly meaning: string;
}

export const conditionTypes: readonly ConditionType[] = [
  { kind: 'Pool', type: 'Ready', well: 'True', meaning: 'The slots that it should have are connected.' },
  {
    kind: 'Pool',
    type: 'SlotTrouble',
    well: 'False',
    meaning: 'Something keeps a slot from working, or from being made.',
  },
  { kind: 'Pool', type: 'AgentOutdated', well: 'False', meaning: 'A slot is of a release that cannot be commanded.' },
  { kind: 'Pool', type: 'SpareMet', well: 'True', meaning: 'As many slots stand free as spec.spare asks for.' },
  {
    kind: 'Pool',
    type: 'CapacityBuffered',
    well: 'True',
    meaning: 'Nodes are asked for ahead of slots. It is there when spec.spare.capacityBuffer is set.',
  },
  {
    kind: 'Pool',
    type: 'MinAwakePossible',
    well: 'True',
    meaning:
      'The instances that never sleep fit into slots.max of the Pools that they may use. It is there while a Model that may use the Pool has any.',
  },
  { kind: 'Model', type: 'Ready', well: 'True', meaning: 'Requests can be served, at once or after a wake.' },
  {
    kind: 'Model',
    type: 'Pinned',
    well: 'True',
    meaning: 'The version of the spec is resolved to what it consists of.',
  },
  { kind: 'Model', type: 'NameTaken', well: 'False', meaning: 'Another Model answers to the same name.' },
  { kind: 'Model', type: 'Updated', well: 'True', meaning: 'The version of the spec is the one that answers.' },
  {
    kind: 'Model',
    type: 'ObjectivePossible',
    well: 'True',
    meaning:
      'What was measured allows spec.scaling.firstTokenMillis, or the 5 s that scaling goes by when none is set. Then it is no trouble when it is False, and no Event tells of it.',
  },
  {
    kind: 'Model',
    type: 'MinAwakePossible',
    well: 'True',
    meaning:
      'Its instances that never sleep, and those of the Models that share its Pools, fit into slots.max. It is there when spec.scaling.minAwake is above 0.',
  },
  {
    kind: 'Model',
    type: 'SleepPossible',
    well: 'True',
    meaning:
      'What an instance holds in host memory once it sleeps fits into spec.sleeperBytes of a Pool that it may use. It is there where a Pool has such a bound and an instance may sleep.',
  },
  { kind: 'ModelRevision', type: 'PinVerified', well: 'True', meaning: 'What runs is what was pinned.' },
  {
    kind: 'ModelRevision',
    type: 'Staged',
    well: 'True',
    meaning: 'Its files are on the volumes of the Pools that may run it.',
  },
];
