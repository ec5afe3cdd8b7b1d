// The order of one model's queue, with its bounds: fair between tenants by estimated tokens (start-time fair queueing),
// earliest deadline first inside a tenant, taken items come back to the head. Pure data: no clock, no waiting.
// The bound on items is for those that wait: how many are taken is up to the shares of the instances. Bytes count until the
// item is removed, since they are held while an attempt is made with it as well.

export interface QueueItem {
  readonly id: string;
  readonly tenant: string;
  /** Estimated tokens of prompt and answer: what taking it costs the tenant. At least 1. */
  readonly cost: number;
  readonly bytes: number;
  /** Its place inside the tenant: the smaller goes first. */
  readonly orderMs: number;
}

export interface QueueBounds {
  /** Items that wait. What is put back was let in before, and may exceed it. */
  readonly itemsMax: number;
  /** Of everything that was entered and is not removed. */
  readonly bytesMax: number;
}

/** Half of a model's queue for each tenant. */
const TENANT_SHARE = 0.5;

interface Entry<Item> {
  readonly item: Item;
  readonly serial: number;
  /** Virtual start at which it was taken; set while it is taken. */
  takenAt: number | undefined;
}

interface Flow<Item> {
  /** Came back: go before everything else of the tenant, the one that was taken first in front. */
  readonly returned: Entry<Item>[];
  /** By orderMs, then by arrival. */
  readonly waiting: Entry<Item>[];
  /** Virtual time at which the tenant's next item starts. */
  startTag: number;
  items: number;
  bytes: number;
}

export interface QueueOrder<Item extends QueueItem> {
  /** False when a bound would be exceeded; nothing changes then. */
  enter(item: Item): boolean;
  /** The next item without taking it. */
  peek(): Item | undefined;
  /** Takes the next item; its bytes count until `remove`. */
  take(): Item | undefined;
  /** A taken item goes back to the head, and its tenant is not charged for it. */
  putBack(id: string): boolean;
  /** Forgets an item, waiting or taken. False when it is not there. */
  remove(id: string): boolean;
  isWaiting(id: string): boolean;
  /** Items that wait, in no particular order. */
  waiting(): Item[];
  /** The waiting item that entered first. */
  oldest(): Item | undefined;
  waitingCount(): number;
  /** Everything that is there, waiting or taken. */
  held(): { readonly items: number; readonly bytes: number };
}

/** The figures of one queue; the functions below are its operations. */
interface Book<Item extends QueueItem> {
  readonly bounds: QueueBounds;
  readonly flows: Map<string, Flow<Item>>;
  readonly entries: Map<string, Entry<Item>>;
  serial: number;
  waitingCount: number;
  bytes: number;
  /** Virtual time: the start tag of what was taken last. A tenant that comes back from idling starts here. */
  virtualTime: number;
}

export function createQueueOrder<Item extends QueueItem>(bounds: QueueBounds): QueueOrder<Item> {
  const book: Book<Item> = {
    bounds,
    flows: new Map(),
    entries: new Map(),
    serial: 0,
    waitingCount: 0,
    bytes: 0,
    virtualTime: 0,
  };
  const isWaiting = (entry: Entry<Item> | undefined) => entry !== undefined && entry.takenAt === undefined;
  return {
    enter: (item) => enter(book, item),
    peek: () => {
      const flow = nextFlow(book);
      return flow === undefined ? undefined : headOf(flow)?.item;
    },
    take: () => take(book),
    putBack: (id) => putBack(book, id),
    remove: (id) => remove(book, id),
    isWaiting: (id) => isWaiting(book.entries.get(id)),
    waiting: () => [...book.entries.values()].filter(isWaiting).map((entry) => entry.item),
    oldest: () => oldest(book),
    waitingCount: () => book.waitingCount,
    held: () => ({ items: book.entries.size, bytes: book.bytes }),
  };
}

function fits<Item extends QueueItem>(book: Book<Item>, item: Item, flow: Flow<Item> | undefined): boolean {
  const { itemsMax, bytesMax } = book.bounds;
  return (
    book.waitingCount < itemsMax &&
    book.bytes + item.bytes <= bytesMax &&
    (flow === undefined ? 0 : waitingIn(flow)) < itemsMax * TENANT_SHARE &&
    (flow?.bytes ?? 0) + item.bytes <= bytesMax * TENANT_SHARE
  );
}

function nextFlow<Item extends QueueItem>(book: Book<Item>): Flow<Item> | undefined {
  let best: Flow<Item> | undefined;
  for (const flow of book.flows.values()) {
    if (headOf(flow) !== undefined && (best === undefined || isBefore(flow, best))) best = flow;
  }
  return best;
}

/** Entries stand in the order in which they entered; those in front that are taken are no more than the instances run. */
function oldest<Item extends QueueItem>(book: Book<Item>): Item | undefined {
  for (const entry of book.entries.values()) if (entry.takenAt === undefined) return entry.item;
  return undefined;
}

function enter<Item extends QueueItem>(book: Book<Item>, item: Item): boolean {
  const known = book.flows.get(item.tenant);
  if (book.entries.has(item.id) || !fits(book, item, known)) return false;
  const flow = known ?? { returned: [], waiting: [], startTag: book.virtualTime, items: 0, bytes: 0 };
  book.flows.set(item.tenant, flow);
  if (headOf(flow) === undefined) flow.startTag = Math.max(flow.startTag, book.virtualTime);
  const entry: Entry<Item> = { item, serial: book.serial++, takenAt: undefined };
  insertInOrder(flow.waiting, entry);
  book.entries.set(item.id, entry);
  flow.items += 1;
  flow.bytes += item.bytes;
  book.bytes += item.bytes;
  book.waitingCount += 1;
  return true;
}

function take<Item extends QueueItem>(book: Book<Item>): Item | undefined {
  const flow = nextFlow(book);
  const entry = flow?.returned.shift() ?? flow?.waiting.shift();
  if (flow === undefined || entry === undefined) return undefined;
  book.virtualTime = Math.max(book.virtualTime, flow.startTag);
  entry.takenAt = flow.startTag;
  flow.startTag += Math.max(1, entry.item.cost);
  book.waitingCount -= 1;
  return entry.item;
}

function putBack<Item extends QueueItem>(book: Book<Item>, id: string): boolean {
  const entry = book.entries.get(id);
  if (entry?.takenAt === undefined) return false;
  const flow = book.flows.get(entry.item.tenant);
  if (flow === undefined) return false;
  // Not below the time at which it was taken: a refund may not put the tenant before what others were promised.
  flow.startTag = Math.max(entry.takenAt, flow.startTag - Math.max(1, entry.item.cost));
  entry.takenAt = undefined;
  insertInOrder(flow.returned, entry);
  book.waitingCount += 1;
  return true;
}

function remove<Item extends QueueItem>(book: Book<Item>, id: string): boolean {
  const entry = book.entries.get(id);
  if (entry === undefined) return false;
  book.entries.delete(id);
  book.bytes -= entry.item.bytes;
  const flow = book.flows.get(entry.item.tenant);
  if (flow === undefined) return true;
  flow.items -= 1;
  flow.bytes -= entry.item.bytes;
  if (entry.takenAt === undefined) {
    removeFrom(flow.returned, entry);
    removeFrom(flow.waiting, entry);
    book.waitingCount -= 1;
  }
  // A tenant with nothing left owes nothing once virtual time has passed its tag.
  if (flow.items === 0) forgetIdle(book);
  return true;
}

function waitingIn<Item>(flow: Flow<Item>): number {
  return flow.returned.length + flow.waiting.length;
}

function headOf<Item>(flow: Flow<Item>): Entry<Item> | undefined {
  return flow.returned[0] ?? flow.waiting[0];
}

function isBefore<Item>(flow: Flow<Item>, best: Flow<Item>): boolean {
  if (flow.startTag !== best.startTag) return flow.startTag < best.startTag;
  return (headOf(flow)?.serial ?? 0) < (headOf(best)?.serial ?? 0);
}

/** Binary insertion by (orderMs, serial). */
function insertInOrder<Item extends QueueItem>(list: Entry<Item>[], entry: Entry<Item>): void {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const other = list[middle];
    if (other !== undefined && comesBefore(other, entry)) low = middle + 1;
    else high = middle;
  }
  list.splice(low, 0, entry);
}

function comesBefore<Item extends QueueItem>(a: Entry<Item>, b: Entry<Item>): boolean {
  return a.item.orderMs === b.item.orderMs ? a.serial < b.serial : a.item.orderMs < b.item.orderMs;
}

function removeFrom<Item>(list: Entry<Item>[], entry: Entry<Item>): void {
  const index = list.indexOf(entry);
  if (index >= 0) list.splice(index, 1);
}

/** Tenants are bounded by the items that wait, plus those whose tag lies ahead; those are dropped when passed. */
function forgetIdle<Item extends QueueItem>(book: Book<Item>): void {
  for (const [tenant, flow] of book.flows) {
    if (flow.items === 0 && flow.startTag <= book.virtualTime) book.flows.delete(tenant);
  }
}
