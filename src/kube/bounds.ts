// Every bound of the Kubernetes client in one place, with units in the names. Decides nothing.

export const CALL_MS_MAX = 15_000;
/** Sockets for calls. Watches have their own, one for each watched kind. */
export const CALL_SOCKETS_MAX = 8;
/** Less than servers and load balancers keep an idle connection, so that a call rarely meets one that is being closed. */
export const IDLE_SOCKET_MS_MAX = 20_000;
/** An answer above this is refused: 500 objects of 128 KiB. */
export const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
export const LIST_PAGE_LIMIT = 500;
/** The server ends a watch after a random time between these, so that watches do not all come back at once. */
export const WATCH_SECONDS_MIN = 300;
export const WATCH_SECONDS_MAX = 600;
/** Servers send a bookmark about once a minute; a watch without a byte for this long is dead. */
export const WATCH_SILENCE_MS_MAX = 90_000;
/** One watch event: larger than any object that a server stores. */
export const WATCH_LINE_BYTES_MAX = 16 * 1024 * 1024;
/** A watch that lived this long was a good one. */
export const WATCH_SETTLED_MS = 5000;
/** After this many failures in a row the version may be the trouble: list again. */
export const FAILURES_UNTIL_RELIST = 3;
export const RETRY_MS_BASE = 200;
export const RETRY_MS_MAX = 10_000;
/** The longest that a server's retry-after is obeyed. */
export const RETRY_AFTER_MS_MAX = 60_000;
/** How long a token from a file, or from a plugin, is used before it is asked for again. */
export const FILE_TOKEN_MS_MAX = 60_000;
export const PLUGIN_TOKEN_MS_MAX = 10_000;
/** Events that wait to be written; more are dropped. */
export const EVENTS_QUEUED_MAX = 256;
/** Series of equal events that are remembered, so that they are counted up instead of written anew. */
export const EVENT_SERIES_MAX = 1000;
/** Events about one object: this many at once, then one each EVENT_REFILL_MS. */
export const EVENT_TOKENS_MAX = 25;
export const EVENT_REFILL_MS = 300_000;
/** A leader that is not heard of for this long is over. */
export const LEASE_MS = 15_000;
export const LEASE_RENEW_MS = 2000;
/** After a renewal that failed. */
export const LEASE_RETRY_MS = 500;
/** A leader that could not renew for this long ends itself: well before others may take over. */
export const LEASE_GIVE_UP_MS = 10_000;
/** A count that is so far behind the minutes since 1970 is not counted on from. A backup and two leaders in less time are not met. */
export const EPOCH_LAG_MINUTES = 10;
/** How often those who stand by look at the Lease, on average. */
export const LEASE_LOOK_MS = 1000;
/** How long a leader that stops tries to give the Lease back. */
export const LEASE_RELEASE_MS_MAX = 1000;
/** CEL rules and field selectors of custom kinds are settled from here on (DESIGN §14.9). */
export const KUBERNETES_MINOR_MIN = 30;
/** What was installed a moment ago may not be served yet. */
export const SERVER_CHECK_PATIENCE_MS = 5000;
export const SERVER_CHECK_RETRY_MS = 500;
