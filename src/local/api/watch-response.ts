// One watch over HTTP: what there is or has been since a version, then every change, one JSON line each, with bookmarks.
// A client that reads too slowly, or asks for what is forgotten, is told so and has to list again.
import type { ServerResponse } from 'node:http';
import { type ApiObject, apiVersionOf } from './definition.ts';
import type { HttpCall } from './http-call.ts';
import { chooseRepresentation } from './media-type.ts';
import { type ListTarget, parseInclude, parseVersion, type ReadContext, scopeOf } from './reads.ts';
import { badRequest, expired, renderStatus } from './status-error.ts';
import { eventFor, isInScope, type Scope, type WatchEvent, type WatchHub } from './watch-hub.ts';

/** Bytes that wait in a watch's socket; above, it is closed. */
export const WATCH_BUFFER_BYTES_MAX = 8 * 1024 * 1024;
const WATCH_SECONDS_MAX = 3600;
const WATCH_SECONDS_DEFAULT = 1800;
/** Tells a client that asked for it that it has seen all that there was. */
const INITIAL_END = 'k8s.io/initial-events-end';

type LineType = WatchEvent['type'] | 'BOOKMARK' | 'ERROR';
type RenderLine = (type: LineType, object: object) => string;

interface WatchWish {
  readonly scope: Scope;
  /** Changes after this version; undefined: what there is comes first. */
  readonly since: number | undefined;
  readonly bookmarks: boolean;
  /** The client wants to be told when it has seen all that there was. */
  readonly marksInitial: boolean;
  readonly seconds: number;
}

type WatchContext = ReadContext & { readonly hub: WatchHub };

interface Lines {
  render(type: LineType, object: object): string;
  bookmark(version: number, annotations?: object): string;
}

/** Answers by itself, for as long as the watch lasts. Throws ApiError before anything is sent. */
export function serveWatch(context: WatchContext, call: HttpCall, target: ListTarget): undefined {
  const { response } = call;
  const wish = parseWish(call, target);
  const lines = createLines(context, call, target);
  const started = firstEvents(context, wish);
  if (response.destroyed) return;
  if (started !== undefined) follow(context, response, { wish, lines });
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
  response.flushHeaders();
  if (started === undefined) {
    response.end(lines.render('ERROR', renderStatus(tooOld(wish.since ?? 0, context.store.version()))));
    return;
  }
  for (const { type, object } of started) response.write(lines.render(type, object));
  if (wish.marksInitial) response.write(lines.bookmark(context.store.version(), { [INITIAL_END]: 'true' }));
}

/** Writes every change until the time is over, the client is gone or too slow, or the server stops. */
function follow(
  { hub, clock, store }: WatchContext,
  response: ServerResponse,
  { wish, lines }: { wish: WatchWish; lines: Lines },
): void {
  const write = (line: string) => {
    if (response.writableLength > WATCH_BUFFER_BYTES_MAX) response.destroy();
    else if (!response.writableEnded) response.write(line);
  };
  const bookmark = (version: number) => {
    if (wish.bookmarks) write(lines.bookmark(version));
  };
  const stop = hub.add({
    ...wish.scope,
    deliver: ({ type, object }) => write(lines.render(type, object)),
    bookmark,
    end: () => response.end(),
  });
  const expire = () => {
    bookmark(store.version());
    response.end();
    stop();
  };
  const timer = clock.after(wish.seconds * 1000, expire, { background: true });
  response.once('close', () => {
    stop();
    timer.cancel();
  });
}

function tooOld(since: number, current: number) {
  return expired(`too old resource version: ${since} (${current})`);
}

/** Undefined when some of what happened since is forgotten, or when the client is ahead of this server. */
function firstEvents({ store, history }: ReadContext, { scope, since }: WatchWish): readonly WatchEvent[] | undefined {
  if (since === undefined) {
    const there = store.list(scope.kind).filter((stored) => isInScope(stored, scope));
    return there.map(({ object }) => ({ type: 'ADDED', object }));
  }
  if (since > store.version()) return undefined;
  return history.since(scope.kind, since)?.flatMap((change) => eventFor(change, scope) ?? []);
}

function parseWish({ query }: HttpCall, target: ListTarget): WatchWish {
  const bookmarks = isTrue(query.get('allowWatchBookmarks'));
  const initial = query.get('sendInitialEvents');
  const version = parseVersion(query.get('resourceVersion'));
  if (initial !== null && query.get('resourceVersionMatch') !== 'NotOlderThan')
    throw badRequest('sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
  if (isTrue(initial) && !bookmarks) throw badRequest('sendInitialEvents requires allowWatchBookmarks');
  const startsFresh = isTrue(initial) || (initial === null && (version === undefined || version === 0));
  return {
    scope: scopeOf(target, query),
    since: startsFresh ? undefined : (version ?? 0),
    bookmarks,
    marksInitial: isTrue(initial),
    seconds: parseSeconds(query.get('timeoutSeconds')),
  };
}

function isTrue(text: string | null): boolean {
  return text === 'true' || text === '1';
}

function parseSeconds(text: string | null): number {
  if (text === null || text === '' || text === '0') return WATCH_SECONDS_DEFAULT;
  if (!/^\d{1,9}$/.test(text))
    throw badRequest(`timeoutSeconds: Invalid value: ${JSON.stringify(text)}: must be a whole number`);
  return Math.min(Number(text), WATCH_SECONDS_MAX);
}

function createLines(context: ReadContext, call: HttpCall, target: ListTarget): Lines {
  const render = createLineRenderer(context, call, target);
  return {
    render,
    bookmark: (version, annotations) => render('BOOKMARK', emptyObject(target, version, annotations)),
  };
}

/** Tables carry their columns in the first event alone. */
function createLineRenderer(context: ReadContext, call: HttpCall, { definition }: ListTarget): RenderLine {
  const line = (type: LineType, object: object) => `${JSON.stringify({ type, object })}\n`;
  if (chooseRepresentation(call.accept, true) === 'Json') return line;
  const include = parseInclude(call.query);
  const table = context.tableOf(definition);
  let withColumns = true;
  return (type, object) => {
    if (type === 'ERROR') return line(type, object);
    const { metadata } = object as ApiObject;
    const rows = type === 'BOOKMARK' ? [] : [object as ApiObject];
    const listMetadata = { resourceVersion: metadata.resourceVersion };
    const rendered = table.render(rows, {
      nowMs: context.clock.wallMs(),
      include,
      metadata: listMetadata,
      withColumns,
    });
    withColumns = false;
    return line(type, rendered);
  };
}

function emptyObject({ definition }: ListTarget, version: number, annotations?: object): object {
  const metadata = { resourceVersion: String(version), creationTimestamp: null, ...(annotations && { annotations }) };
  return { kind: definition.kind, apiVersion: apiVersionOf(definition), metadata };
}
