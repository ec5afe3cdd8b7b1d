// Every bound of the controller, by name and with its unit. Decides nothing.

/** Reconciles that run at the same time; keys that wait are bounded by the objects that exist. */
export const RECONCILES_MAX = 8;
/**
 * Of these at the same time. A source or a registry that does not answer holds a pin for up to two minutes, and stagers that do not
 * answer hold a look at a revision for 2 s each: the others go on meanwhile.
 */
export const RECONCILES_OF_KIND_MAX = { Pin: 3, ModelRevision: 3 } as const;
export const RETRY_BACKOFF = { baseMs: 200, capMs: 60_000 } as const;
/** A file that cannot be pinned is not looked at again before this time, unless the spec changes. */
export const PIN_RETRY_MS_MIN = 2000;
/** After a failure, news of an object brings it back no sooner than its back-off would, and no later than this. */
export const NEWS_REST_MS_MAX = 5000;
/** After a first conflict the cache is a moment behind. */
export const CONFLICT_RETRY_MS = 25;
/**
 * What is added after more of them. The cap is low: where others write into an object all the while, only many tries find a gap, and
 * where the cache stands still, two tries a second are no burden.
 */
export const CONFLICT_BACKOFF = { baseMs: 50, capMs: 1000 } as const;
/** A write that others overtake with what does not concern it is tried again at once so often. */
export const OVERTAKEN_WRITES_MAX = 5;
/** Every object is looked at again this often, whatever was heard of it. */
export const RESYNC_MS = 30_000;

/** The Secret of an upstream's key is not watched, but read this often; more often while it is of no use. */
export const SECRET_EVERY_MS = 30_000;
export const SECRET_WANTED_EVERY_MS = 5000;

/** Changes within this time are planned together. */
export const PLAN_WITHIN_MS = 2;
/** Time itself changes plans: idle times, leases, retries. */
export const PLAN_EVERY_MS = 250;
/** The planner rests this many times as long as it took, so that the event loop stays free. */
export const PLAN_REST_FACTOR = 4;
/** Nor does it rest longer than this: whoever waits for a wake waits for a whole rest at worst. */
export const PLAN_REST_MS_MAX = 100;

/** A replica that has won the Lease and does not lead after this time is not ready, and says what it waits for. */
export const LEADER_START_MS = 5000;
/** A new controller waits at most this long for its picture of the slots. */
export const PICTURE_MS_MAX = 10_000;
/** An agent that is away for this long no longer counts as holding what it held. */
export const AGENT_LOST_MS_MAX = 15_000;
/** After this the agent's own refusal keeps routers out of a slot that leaves. */
export const WITHDRAW_MS_MAX = 5000;

/** A candidate that failed is tried again after this time, each time twice as long. */
export const TRIAL_BACKOFF = { baseMs: 15_000, capMs: 900_000 } as const;
/** Revisions of a model that are kept beside the ones in use. */
export const OLD_REVISIONS_MAX = 10;
/** What was learned of a model is written this often at most (DESIGN §3). */
export const LEARNED_EVERY_MS = 300_000;
/** The first time, of a model of which nothing is kept yet. */
export const LEARNED_FIRST_MS = 30_000;
/** The controller's guess of how long a new slot takes to report. */
export const SLOT_START_MS = 3000;
/** The first guess of how long a slot takes from the decision to make it, for those who keep some ready; and the most that counts. */
export const SLOT_MAKE_MS = 60_000;
export const SLOT_MAKE_MS_MAX = 900_000;
/** What a Pool's spare slots rest on is written this often. */
export const SPARE_HISTORY_EVERY_MS = 300_000;
/** A new slot that has not reported after this time is late: other pools and the slots that there are go before it. */
export const SLOT_PATIENCE_MS = 10_000;
/** What was made counts, although it is not in the cache: a revision for this long, and a slot until the server, asked after it, has none. */
export const UNSEEN_MS_MAX = 30_000;
/** The guess of how long an occupant takes to leave once it may. */
export const YIELD_MS = 1000;
/** The Secret of the slot keys is read again this often: whether its time is over, or somebody has changed it. */
export const KEY_LOOK_MS = 60_000;
/** A request that a router sent with a key may be on its way for so long: it connects within 2 s. */
export const KEY_IN_FLIGHT_MS = 5000;
/** A router that left this long ago may still route by an older table; after it, it is gone (DESIGN §14.2). */
export const ROUTER_GONE_MS = 10_000;
/** How often the leader looks whether the cluster still knows it: somebody may have changed what it wrote. */
export const LINK_LOOK_MS = 30_000;
/** A Pool that is being deleted is looked at again after this time while Pods of it are left, whatever was heard of them. */
export const FINISH_LOOK_MS = 10_000;
/** What belonged to an object of the same name before is collected in the background; it is looked at again after this time. */
export const PREDECESSOR_LOOK_MS = 1000;
/** A Model that is being deleted is looked at again after this time while slots hold it. */
export const MODEL_LOOK_MS = 500;
/** Children that nobody watches are looked at again after this time: somebody may have changed or deleted them. */
export const CHILD_LOOK_MS = 300_000;
/** Added to the drain for ending engines, before the node kills what is left. */
export const SLOT_END_SECONDS = 5;

/** A download that failed is tried again after this time, each time twice as long. */
export const STAGE_BACKOFF = { baseMs: 5000, capMs: 600_000 } as const;
/** How often a stager is asked how far it is, and with it how often an object says so. */
export const PROGRESS_EVERY_MS = 10_000;
/** The guess of what a download brings in a second, for those who wait for it. */
export const STAGE_BYTES_PER_SECOND = 50_000_000;
/** The guess of how long a stager takes beside its download. */
export const STAGE_START_MS = 3000;
