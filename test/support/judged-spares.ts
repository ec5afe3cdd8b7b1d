// Pools that say how many slots are to stand free, good and bad, and what is said of the bad ones (judged-objects.ts).
import { type JudgedObject, pool } from './plain-objects.ts';

const cost = { lateWake: '0.50', slotHour: '2.5' };
const slots = { max: 4 };

export const judgedSpares: readonly JudgedObject[] = [
  { name: 'spare slots by default', object: pool({ spare: {} }), problems: [] },
  {
    name: 'spare slots for a target',
    object: pool({ slots, spare: { hitBasisPoints: 9950, min: 1, max: 4 } }),
    problems: [],
  },
  { name: 'spare slots for money', object: pool({ slots, spare: { cost, max: 2 } }), problems: [] },
  {
    name: 'spare slots for both',
    object: pool({ spare: { hitBasisPoints: 9900, cost } }),
    problems: ['spec.spare: must hold at most one of hitBasisPoints and cost'],
  },
  {
    name: 'spare slots, the least above the most',
    object: pool({ slots, spare: { min: 3, max: 2 } }),
    problems: ['spec.spare: min must not be above max: 3 is above 2'],
  },
  {
    name: 'the least spare slots above all slots',
    object: pool({ slots, spare: { min: 5 } }),
    problems: ['spec: spare.min must not be above slots.max: 5 is above 4'],
  },
  {
    name: 'the most spare slots above all slots',
    object: pool({ slots, spare: { max: 5 } }),
    problems: ['spec: spare.max must not be above slots.max: 5 is above 4'],
  },
  {
    name: 'the most spare slots above the slots of the default',
    object: pool({ spare: { max: 2 } }),
    problems: ['spec: spare.max must not be above slots.max: 2 is above 1'],
  },
  {
    name: 'money as a number with a comma',
    object: pool({ spare: { cost: { ...cost, slotHour: '2,5' } } }),
    problems: ['spec.spare.cost.slotHour: must be an amount in quotes, such as "2.50", but is "2,5"'],
  },
];
