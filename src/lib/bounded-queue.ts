// A first-in, first-out queue that cannot grow past its bound: who offers one too many is told, and decides what to do.
// Taking is constant time; a plain array would move everything on each take.

export interface BoundedQueue<T> {
  readonly capacity: number;
  readonly size: number;
  /** False, and nothing is kept, when the queue is full. */
  offer(item: T): boolean;
  /** The oldest item, or undefined when there is none. */
  take(): T | undefined;
  /** The oldest item, which stays. */
  peek(): T | undefined;
  /** Takes every item, oldest first. */
  drain(): T[];
}

/** A ring of `capacity` places (1 or more). It grows by doubling, so that a large bound costs nothing while it is unused. */
export function createBoundedQueue<T>(capacity: number): BoundedQueue<T> {
  if (!Number.isInteger(capacity) || capacity < 1)
    throw new RangeError(`a queue needs room for 1 or more, not ${capacity}`);
  let ring: (T | undefined)[] = new Array<T | undefined>(Math.min(capacity, 16)).fill(undefined);
  let head = 0;
  let size = 0;
  const grow = () => {
    const wider: (T | undefined)[] = new Array<T | undefined>(Math.min(capacity, ring.length * 2)).fill(undefined);
    for (let at = 0; at < size; at += 1) wider[at] = ring[(head + at) % ring.length];
    ring = wider;
    head = 0;
  };
  const take = () => {
    if (size === 0) return undefined;
    const item = ring[head];
    ring[head] = undefined;
    head = (head + 1) % ring.length;
    size -= 1;
    return item;
  };
  return {
    capacity,
    get size() {
      return size;
    },
    offer(item) {
      if (size === capacity) return false;
      if (size === ring.length) grow();
      ring[(head + size) % ring.length] = item;
      size += 1;
      return true;
    },
    take,
    peek: () => (size === 0 ? undefined : ring[head]),
    drain() {
      const items: T[] = [];
      for (let left = size; left > 0; left -= 1) {
        const item = take();
        // Every counted place was filled by offer; T itself may include undefined.
        items.push(item as T);
      }
      return items;
    },
  };
}
