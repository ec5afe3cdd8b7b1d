// Whether the token of an open session still holds: asked when its own claims say that it is over. The server that judges tokens
// has the last word, because the clock of the hub may be wrong: by one that is ahead every token would be over at once.
import type { Clock, Timer } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { TOKEN_REVIEW_MS_MIN } from './bounds.ts';

interface TokenWatch {
  readonly clock: Clock;
  readonly log: Log;
  /** When it ends, by the wall clock. */
  readonly expiresAtMs: number;
  /** False: it is refused. Rejects when nobody could say. */
  isAccepted(): Promise<boolean>;
  /** Called once, and nothing is asked after it. */
  onRefused(): void;
}

/** The token was accepted a moment ago. */
export function watchToken({ clock, log, expiresAtMs, isAccepted, onRefused }: TokenWatch): Timer {
  let isOver = false;
  let timer = arm();

  function arm(): Timer {
    const waitMs = Math.max(TOKEN_REVIEW_MS_MIN, expiresAtMs - clock.wallMs());
    return clock.after(waitMs, () => void look(), { background: true });
  }

  async function look(): Promise<void> {
    const mayStay = await isAccepted().catch((error: unknown) => {
      // Who could not be asked has refused nobody.
      log.warn({ error: String(error) }, 'the token of a link session could not be reviewed again');
      return true;
    });
    if (isOver) return;
    if (mayStay) timer = arm();
    else onRefused();
  }

  return {
    cancel() {
      isOver = true;
      timer.cancel();
    },
  };
}
