// Every bound of the local node, in one place.

/** Pods that one node runs, as the kubelet's default. */
export const PODS_MAX = 110;
/** stop() ends every Pod within this, whatever grace it asks for. */
export const STOP_GRACE_MS_MAX = 10_000;
/** Grace of a Pod that says nothing, as in Kubernetes. */
export const GRACE_SECONDS_DEFAULT = 30;
/** Grace of a Pod whose object is gone already: somebody forced it. */
export const ORPHAN_GRACE_MS = 1000;

/** Waits between starts of a container that keeps ending. */
export const RESTART_BACKOFF = { baseMs: 1000, capMs: 60_000 } as const;
/** A container that ran this long starts its waits anew. */
export const STEADY_MS = 60_000;
/** Waits between calls to the API that failed. */
export const API_BACKOFF = { baseMs: 100, capMs: 5000 } as const;

/** One probe may take this long. */
export const PROBE_TIMEOUT_MS = 1000;
/** Until it was ready once, a container is probed this often at least: a caller may be waiting for it. */
export const FIRST_PROBES_EVERY_MS = 100;
export const PROBE_PERIOD_SECONDS_DEFAULT = 10;
/** Probes in a row that must fail before a ready container is not ready. */
export const PROBE_FAILURES_MAX = 3;

/** How often we look whether killed processes are gone, and for how long. */
export const SWEEP_EVERY_MS = 20;
export const SWEEP_MS_MAX = 5000;

/** A token is asked for anew when this share of its life is over. */
export const TOKEN_REFRESH_SHARE = 0.8;
/** A token that lives shorter than this is not asked for more often. */
export const TOKEN_REFRESH_MS_MIN = 1000;

/** A log file of this size becomes `<name>.1`, so a container keeps at most twice this. */
export const LOG_BYTES_MAX = 4 * 1024 * 1024;
