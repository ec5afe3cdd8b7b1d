// Models that say how they are kept warm, good and bad, and what is said of the bad ones (judged-objects.ts).
import { type JudgedObject, model } from './plain-objects.ts';

export const judgedScaling: readonly JudgedObject[] = [
  {
    name: 'an objective that no wake can keep',
    object: model({ scaling: { firstTokenMillis: 80 } }),
    problems: [
      'spec.scaling: firstTokenMillis must be at least 250 while minAwake is 0, because 100 ms may pass until a wake is ordered and no wake is faster than 150 ms: 80 is below 100 + 150',
    ],
  },
  { name: 'the same with one awake', object: model({ scaling: { firstTokenMillis: 80, minAwake: 1 } }), problems: [] },
  {
    name: 'headroom by name',
    object: model({ scaling: { headroom: 'Strict', firstTokenMillis: 250 } }),
    problems: [],
  },
  {
    name: 'headroom as a number',
    object: model({ scaling: { headroom: 0.99 } }),
    problems: ['spec.scaling.headroom: must be one of Economy, Standard, Strict, but is 0.99'],
  },
];
