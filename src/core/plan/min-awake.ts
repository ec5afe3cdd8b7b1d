// Whether the instances that never sleep find slots, over all models that share pools: each may be possible alone, and all of them
// not. Pure, and about limits alone: what nodes and engines allow is another question.

/** The instances of one model that never sleep, and where they may be. */
export interface AwakeNeed {
  readonly model: string;
  readonly pools: readonly string[];
  readonly minAwake: number;
}

/** These models together want more slots than these pools may have. */
export interface AwakeShortage {
  readonly models: readonly string[];
  readonly pools: readonly string[];
  readonly wanted: number;
  readonly slots: number;
}

/** By model. `slotsMax` has every pool that there is. */
export function findShortages(
  needs: readonly AwakeNeed[],
  slotsMax: ReadonlyMap<string, number>,
): ReadonlyMap<string, AwakeShortage> {
  const shortages = new Map<string, AwakeShortage>();
  const alone = needs.filter((need) => need.minAwake > countSlots(need.pools, slotsMax));
  for (const need of alone) shortages.set(need.model, describe([need], need.pools, slotsMax));
  const groups = groupNeeds(needs);
  const spread = createSpread(slotsMax);
  const short = groups.filter((group) => !putAll(spread, group));
  for (const group of short) {
    const { groups: held, pools } = reachFrom(spread, group);
    const shortage = describe(
      [...held].flatMap((one) => one.needs),
      [...pools],
      slotsMax,
    );
    for (const model of shortage.models) if (!shortages.has(model)) shortages.set(model, shortage);
  }
  return shortages;
}

/** Models with the same pools are one to whoever looks for slots. */
interface Group {
  readonly pools: readonly string[];
  readonly needs: readonly AwakeNeed[];
  readonly wanted: number;
}

function groupNeeds(needs: readonly AwakeNeed[]): Group[] {
  const alike = Map.groupBy(needs, ({ pools }) => [...pools].sort().join());
  return [...alike.values()].map((same) => ({ pools: same[0]?.pools ?? [], needs: same, wanted: sumOf(same) }));
}

/** Who has how many slots of each pool, and how many are left. */
interface Spread {
  readonly left: Map<string, number>;
  readonly taken: Map<string, Map<Group, number>>;
}

function createSpread(slotsMax: ReadonlyMap<string, number>): Spread {
  return {
    left: new Map(slotsMax),
    taken: new Map([...slotsMax.keys()].map((pool) => [pool, new Map<Group, number>()])),
  };
}

/** Gives a group its slots, and has others move to pools that have some left. False when there are not enough. */
function putAll(spread: Spread, group: Group): boolean {
  let missing = group.wanted;
  while (missing > 0) {
    const { free, cameBy } = reachFrom(spread, group);
    if (free === undefined) return false;
    missing -= shift(spread, { from: group, free, cameBy, missing });
  }
  return true;
}

interface Reach {
  readonly groups: ReadonlySet<Group>;
  readonly pools: ReadonlySet<string>;
  /** The group through which a pool was reached. */
  readonly cameBy: ReadonlyMap<string, Group>;
  /** The pool that a group was reached through: it holds slots there. */
  readonly free: { readonly pool: string; readonly heldIn: ReadonlyMap<Group, string> } | undefined;
}

/** Pools that a group can get slots of, its own and those whose holders could move. Ends at the first that has any left. */
function reachFrom({ left, taken }: Spread, group: Group): Reach {
  const cameBy = new Map<string, Group>();
  const heldIn = new Map<Group, string>();
  const groups = new Set([group]);
  const reached = (free: Reach['free']) => ({ groups, pools: new Set(cameBy.keys()), cameBy, free });
  // A set that is walked sees what is added meanwhile.
  for (const one of groups) {
    for (const pool of one.pools.filter((name) => taken.has(name) && !cameBy.has(name))) {
      cameBy.set(pool, one);
      if ((left.get(pool) ?? 0) > 0) return reached({ pool, heldIn });
      for (const holder of holdersOf(taken.get(pool)).filter((other) => !groups.has(other))) {
        groups.add(holder);
        heldIn.set(holder, pool);
      }
    }
  }
  return reached(undefined);
}

function holdersOf(counts: ReadonlyMap<Group, number> = new Map()): Group[] {
  return [...counts].flatMap(([group, count]) => (count > 0 ? [group] : []));
}

/** Every holder on the way moves on by one pool, as many as all of them can. Returns how many. */
function shift(
  { left, taken }: Spread,
  way: {
    readonly from: Group;
    readonly free: NonNullable<Reach['free']>;
    readonly cameBy: Reach['cameBy'];
    readonly missing: number;
  },
): number {
  const { from, free, cameBy, missing } = way;
  const steps: { readonly group: Group; readonly to: string; readonly out: string | undefined }[] = [];
  for (let to: string | undefined = free.pool; to !== undefined; ) {
    const group: Group = cameBy.get(to) ?? from;
    const out: string | undefined = group === from ? undefined : free.heldIn.get(group);
    steps.push({ group, to, out });
    to = out;
  }
  const held = steps.flatMap(({ group, out }) => (out === undefined ? [] : [taken.get(out)?.get(group) ?? 0]));
  const count = Math.min(missing, left.get(free.pool) ?? 0, ...held);
  left.set(free.pool, (left.get(free.pool) ?? 0) - count);
  for (const { group, to, out } of steps) {
    add(taken.get(to), group, count);
    if (out !== undefined) add(taken.get(out), group, -count);
  }
  return count;
}

function add(counts: Map<Group, number> | undefined, group: Group, by: number): void {
  counts?.set(group, (counts.get(group) ?? 0) + by);
}

function describe(
  needs: readonly AwakeNeed[],
  pools: readonly string[],
  slotsMax: ReadonlyMap<string, number>,
): AwakeShortage {
  const known = pools.filter((pool) => slotsMax.has(pool)).sort();
  const models = needs.map(({ model }) => model).sort();
  return { models, pools: known, wanted: sumOf(needs), slots: countSlots(known, slotsMax) };
}

function sumOf(needs: readonly AwakeNeed[]): number {
  return needs.reduce((sum, { minAwake }) => sum + minAwake, 0);
}

function countSlots(pools: readonly string[], slotsMax: ReadonlyMap<string, number>): number {
  return pools.reduce((sum, pool) => sum + (slotsMax.get(pool) ?? 0), 0);
}

const NAMES_MAX = 5;

/** The arithmetic, and what to change. `told`: the Model whose own page it stands on needs no name. */
export function explainShortage({ models, pools, wanted, slots }: AwakeShortage, told?: string): string {
  const isAlone = models.length === 1;
  const whose = isAlone && models[0] === told ? '' : ` of the Model${isAlone ? '' : 's'} ${listNames(models, 'and')}`;
  const room = `${isAlone ? 'its' : 'their'} pools may have ${counted(slots, 'slot')}${isAlone ? '' : ' together'}`;
  const remedy = `raise spec.slots.max of Pool ${listNames(pools, 'or')} or lower ${isAlone ? '' : 'a '}minAwake`;
  return `${counted(wanted, 'instance')}${whose} never ${wanted === 1 ? 'sleeps' : 'sleep'} (spec.scaling.minAwake), and ${room}: ${remedy}.`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

function listNames(names: readonly string[], word: 'and' | 'or'): string {
  const more = names.length - NAMES_MAX;
  const shown = more > 0 ? [...names.slice(0, NAMES_MAX), `${more} more`] : names;
  const last = shown.at(-1) ?? '';
  return shown.length < 2 ? last : `${shown.slice(0, -1).join(', ')} ${word} ${last}`;
}
