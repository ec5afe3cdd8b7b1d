// Every bound of the router, by name, with its default (DESIGN §8, §14.8). Sizes in bytes, times in milliseconds.
// Decides nothing; the bounds of a model's queue and of parsing stand here too, so that they can be read in one place.

export interface RouterBounds {
  readonly headerBytesMax: number;
  /** From the connection or the last answer to the end of a request's head. */
  readonly headMsMax: number;
  readonly bodyBytesMax: number;
  readonly bodyMsMax: number;
  /** Bodies that are in memory at one time, of all requests. */
  readonly bodiesBytesMax: number;
  readonly socketsMax: number;
  readonly requestsPerSocketMax: number;
  readonly keepAliveMs: number;
  /** After an answer that came before the body was read: time to read the rest, so that the caller sees the answer. */
  readonly lingerMsMax: number;
  /** The longest that a caller waits in silence for a cold model. */
  readonly silentHoldMsMax: number;
  /** After the start: how long a request waits for the first routing table. */
  readonly tableWaitMsMax: number;
  /** Requests that wait for one model; half of them may be one tenant's. Those at an instance do not count. */
  readonly queueItemsMax: number;
  /** Bytes of the requests for one model, waiting or at an instance; half of them may be one tenant's. */
  readonly queueBytesMax: number;
  /** Bytes that wait for a slow reader. */
  readonly unreadBytesMax: number;
  /** After an answer is complete: how long its reader may take nothing of what waits for it. */
  readonly untakenMsMax: number;
  /** Frames that come before the first content wait for it, up to this. */
  readonly preludeBytesMax: number;
  readonly answerBytesMax: number;
  /** Attempts that count (refusals do not). */
  readonly attemptsMax: number;
  /** Bodies above this are parsed off the event loop. */
  readonly parseInlineBytesMax: number;
  /** WebSockets that are open at one time; each of them is one of the sockets above as well. */
  readonly webSocketsMax: number;
  /** Requests that are open on one WebSocket. */
  readonly webSocketRequestsMax: number;
  /** The payload of one frame that is sent. */
  readonly webSocketFrameBytesMax: number;
  /** Bytes that wait for the reader of a WebSocket; above it nothing is taken from its requests. */
  readonly webSocketBufferedBytesMax: number;
  /** How long it may stay above that. */
  readonly webSocketStallMsMax: number;
  /** Bytes that wait in the requests of one WebSocket; each of them may hold `unreadBytesMax`. */
  readonly webSocketWaitingBytesMax: number;
  readonly webSocketPingEveryMs: number;
  /** Pings, and messages that are not accepted, in each `webSocketNuisanceMs`. */
  readonly webSocketNuisancesMax: number;
  readonly webSocketNuisanceMs: number;
}

export const routerBounds: RouterBounds = {
  headerBytesMax: 16 * 1024,
  headMsMax: 10_000,
  bodyBytesMax: 4 * 1024 * 1024,
  bodyMsMax: 30_000,
  bodiesBytesMax: 512 * 1024 * 1024,
  socketsMax: 2000,
  requestsPerSocketMax: 128,
  keepAliveMs: 75_000,
  lingerMsMax: 5000,
  silentHoldMsMax: 50_000,
  tableWaitMsMax: 10_000,
  queueItemsMax: 1000,
  queueBytesMax: 256 * 1024 * 1024,
  unreadBytesMax: 512 * 1024,
  untakenMsMax: 30_000,
  preludeBytesMax: 64 * 1024,
  answerBytesMax: 4 * 1024 * 1024,
  attemptsMax: 3,
  parseInlineBytesMax: 256 * 1024,
  webSocketsMax: 500,
  webSocketRequestsMax: 64,
  webSocketFrameBytesMax: 16 * 1024,
  webSocketBufferedBytesMax: 1024 * 1024,
  webSocketStallMsMax: 10_000,
  webSocketWaitingBytesMax: 1024 * 1024,
  webSocketPingEveryMs: 20_000,
  webSocketNuisancesMax: 100,
  webSocketNuisanceMs: 10_000,
};
