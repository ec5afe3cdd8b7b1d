// Every bound of the link in one place: waits, sizes and counts, with units in their names.
// Decides nothing; the version range and the frame size are part of the messages (src/api/link.ts).

/** From the dial to the connection, before anything is said. Two lost first packets take 3 s to be sent again, one takes 1 s. */
export const CONNECT_MS_MAX = 2000;
/** From the dial to the answer of the upgrade, and from there to hello or welcome. */
export const HANDSHAKE_MS_MAX = 10_000;
export const PING_EVERY_MS = 5000;
/** Pings in a row without a sign of life before the peer counts as gone: 15 s. Counted, so that a paused process does not end its sessions. */
export const QUIET_PINGS_MAX = 3;
/** Bytes that wait for a slow receiver; above it the session is cut and state is sent again after hello. */
export const SEND_BUFFER_BYTES_MAX = 8 * 1024 * 1024;
/** Redials wait a random part of these, by the number of failures in a row; the last one repeats. */
export const REDIAL_MS_MAX: readonly number[] = [200, 1000, 5000];
/** After a hub that moved, spokes dial within this, for as long as its successor may take; then as after any other end. */
export const MOVED_MS_MAX = 10_000;
/** The hub's answer to how soon: every session adds to it, so that the successor meets 500 dials a second at most. */
export const MOVED_REDIAL_MS_MIN = 300;
export const MOVED_REDIAL_MS_PER_SESSION = 2;
/** A dial meanwhile may lead to the address of a Pod that is gone: it is given up sooner, because the next one is near. */
export const MOVED_CONNECT_MS_MAX = 500;
/** A session that lived this long was a good one: the next redial is fast again. */
export const SETTLED_MS = 5000;
/** From our close frame to cutting the socket. */
export const CLOSE_MS_MAX = 1000;
/** A session is renewed in the last tenth of its token's life, later than the kubelet renews the token (at four fifths). */
export const RENEW_SHARE = 0.1;
/** Until the next try when the token is still the same, or the new session did not come about. */
export const RENEW_RETRY_MS = 5000;
/** A token that should be over is reviewed again this often at most: where the clock is ahead, every token of every session is such a one. */
export const TOKEN_REVIEW_MS_MIN = 300_000;
export const SESSIONS_MAX = 5000;
/** Upgrades whose tokens are being reviewed, or that have not said hello. */
export const PENDING_MAX = 512;
/** RFC 6455 §5.5: a control frame carries 125 bytes, two of them the code. */
export const CLOSE_REASON_BYTES_MAX = 123;
