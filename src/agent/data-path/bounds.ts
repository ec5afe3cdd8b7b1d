// Every bound of the data path, by name. Sizes in bytes, times in milliseconds.

/** A request's body; the router allows at most as much. */
export const BODY_BYTES_MAX = 32 * 1024 * 1024;
/** An engine's error answer. */
export const ERROR_BYTES_MAX = 64 * 1024;
export const HEADER_BYTES_MAX = 16 * 1024;
export const HEAD_MS_MAX = 10_000;
/** Head and body of one request. */
export const REQUEST_MS_MAX = 30_000;
export const SOCKETS_MAX = 2000;
/** Longer than a router's pool keeps an idle connection, so that the router closes first. */
export const KEEP_ALIVE_MS = 75_000;
/** Used when a request names no remaining time, and the most that one may name. */
export const REMAINING_MS_DEFAULT = 600_000;
export const REMAINING_MS_MAX = 24 * 3_600_000;
/** Connecting to an engine on loopback. */
export const CONNECT_MS_MAX = 2000;
/** An idle connection to an engine is closed by us after this time, whatever longer time the engine offers. */
export const ENGINE_KEEP_ALIVE_MS_MAX = 60_000;
/** Silence of an engine in the middle of an answer. A long prompt is computed before its head, which only the deadline bounds. */
export const SILENCE_MS_MAX = 300_000;
/** After the last frame of an answer: time for the engine to end its own. */
export const LINGER_MS_MAX = 1000;
/** When the data path closes: time for the last bytes to leave. */
export const FLUSH_MS_MAX = 1000;
