// Time as a parameter. This is the only module that reads the system's clocks or sets its timers.
// Everything else takes a Clock, so that tests and the simulator move time by hand.

export interface Timer {
  /** Stops the timer. Calling it twice, or after it fired, does nothing. */
  cancel(): void;
}

export interface Clock {
  /** Wall time in milliseconds since 1970. May jump; use it for what people read, never for durations. */
  wallMs(): number;
  /** Monotonic milliseconds since an arbitrary origin. Use it for every duration and deadline. */
  nowMs(): number;
  /** Calls `fire` once, `delayMs` from now (0 or more). The system clock's timers do not keep the process alive when `background` is set. */
  after(delayMs: number, fire: () => void, options?: { background?: boolean }): Timer;
}

/** The longest delay one Node timer holds; a longer one would fire at once. */
const DELAY_MS_MAX = 2 ** 31 - 1;

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  nowMs: () => performance.now(),
  after(delayMs, fire, options) {
    const handle = setTimeout(fire, Math.min(Math.max(0, delayMs), DELAY_MS_MAX));
    if (options?.background === true) handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Resolves after `delayMs`; rejects with the signal's reason as soon as it aborts. */
export function delay(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(abortReason(signal));
      return;
    }
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    const onAbort = () => {
      timer.cancel();
      reject(abortReason(signal));
    };
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** Calls `tick` every `intervalMs`, the next call only being timed after the last returned. */
export function every(clock: Clock, intervalMs: number, tick: () => void, options?: { background?: boolean }): Timer {
  let timer: Timer | undefined;
  let cancelled = false;
  const arm = () => {
    timer = clock.after(
      intervalMs,
      () => {
        tick();
        if (!cancelled) arm();
      },
      options,
    );
  };
  arm();
  return {
    cancel() {
      cancelled = true;
      timer?.cancel();
    },
  };
}

/** Aborts after `delayMs` with the given reason, or when `parent` aborts. `cancel` frees the timer and the listener. */
export function deadlineSignal(
  clock: Clock,
  delayMs: number,
  options: { reason: Error; parent?: AbortSignal },
): { signal: AbortSignal; cancel(): void } {
  const controller = new AbortController();
  const { parent, reason } = options;
  const onParent = () => controller.abort(abortReason(parent));
  const timer = clock.after(delayMs, () => controller.abort(reason));
  if (parent?.aborted === true) onParent();
  else parent?.addEventListener('abort', onParent, { once: true });
  return {
    signal: controller.signal,
    cancel() {
      timer.cancel();
      parent?.removeEventListener('abort', onParent);
    },
  };
}

function abortReason(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new Error('aborted');
}

export interface ManualClock extends Clock {
  /** Moves time forward and fires due timers in order; a timer set while firing is honoured when it falls inside the span. */
  advance(spanMs: number): void;
  /** Advances to the next timer and fires it. Returns false when none is set. */
  fireNext(): boolean;
  /** Timers that are set, for leak checks. */
  pendingTimers(): number;
}

/** A clock that stands still until it is moved. `startWallMs` is what wallMs() says at the start. */
export function createManualClock(startWallMs = 1_700_000_000_000): ManualClock {
  let elapsedMs = 0;
  let serial = 0;
  const timers = new Map<number, { dueMs: number; fire: () => void }>();
  const nextDue = () => {
    let best: { id: number; dueMs: number; fire: () => void } | undefined;
    for (const [id, timer] of timers) if (best === undefined || timer.dueMs < best.dueMs) best = { id, ...timer };
    return best;
  };
  const fireOne = (untilMs: number): boolean => {
    const next = nextDue();
    if (next === undefined || next.dueMs > untilMs) return false;
    timers.delete(next.id);
    elapsedMs = Math.max(elapsedMs, next.dueMs);
    next.fire();
    return true;
  };
  return {
    wallMs: () => startWallMs + elapsedMs,
    nowMs: () => elapsedMs,
    after(delayMs, fire) {
      const id = serial++;
      timers.set(id, { dueMs: elapsedMs + Math.max(0, delayMs), fire });
      return { cancel: () => void timers.delete(id) };
    },
    advance(spanMs) {
      const untilMs = elapsedMs + spanMs;
      while (fireOne(untilMs));
      elapsedMs = untilMs;
    },
    fireNext: () => fireOne(Number.POSITIVE_INFINITY),
    pendingTimers: () => timers.size,
  };
}
