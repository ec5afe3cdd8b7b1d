// GET of one object and of lists: selectors, pages from one moment, and Tables for people. Reads only.
import type { Clock } from '../../lib/clock.ts';
import { continueExpired, parseContinueToken, renderContinueToken } from './continue-token.ts';
import { type ApiObject, apiVersionOf, type ResourceDefinition, resourceName } from './definition.ts';
import type { History } from './history.ts';
import type { Answer, HttpCall } from './http-call.ts';
import { chooseRepresentation } from './media-type.ts';
import { placeKey, type StoredObject } from './object-index.ts';
import type { ObjectStore } from './object-store.ts';
import { type ObjectFilter, parseFieldSelector, parseLabelSelector, selectedName } from './selectors.ts';
import { badRequest, expired, versionTooLarge } from './status-error.ts';
import type { RowObject, TableRenderer } from './table.ts';
import { isInScope, type Scope } from './watch-hub.ts';

export interface ReadContext {
  readonly store: ObjectStore;
  readonly history: History;
  readonly clock: Clock;
  tableOf(definition: ResourceDefinition): TableRenderer;
}

export interface ListTarget {
  readonly definition: ResourceDefinition;
  /** Undefined: all namespaces. */
  readonly namespace: string | undefined;
}

export function answerObject(
  context: ReadContext,
  call: HttpCall,
  definition: ResourceDefinition,
  stored: StoredObject,
): Answer {
  if (chooseRepresentation(call.accept, true) === 'Json') return { code: 200, body: stored.json };
  const { resourceVersion } = stored.object.metadata;
  return {
    code: 200,
    body: renderTable(context, call, { definition, objects: [stored.object], metadata: { resourceVersion } }),
  };
}

export function answerList(context: ReadContext, call: HttpCall, target: ListTarget): Answer {
  const representation = chooseRepresentation(call.accept, true);
  const page = readPage(context, call, target);
  const metadata = {
    resourceVersion: String(page.version),
    ...(page.next === undefined ? {} : { continue: page.next, remainingItemCount: page.remaining }),
  };
  const { definition } = target;
  if (representation === 'Table') {
    const objects = page.items.map(({ object }) => object);
    return { code: 200, body: renderTable(context, call, { definition, objects, metadata }) };
  }
  const head = JSON.stringify({ apiVersion: apiVersionOf(definition), kind: `${definition.kind}List`, metadata });
  // The items are JSON already.
  return { code: 200, body: `${head.slice(0, -1)},"items":[${page.items.map(({ json }) => json).join(',')}]}` };
}

function renderTable(
  context: ReadContext,
  call: HttpCall,
  {
    definition,
    objects,
    metadata,
  }: { definition: ResourceDefinition; objects: readonly ApiObject[]; metadata: object },
): object {
  const include = parseInclude(call.query);
  return context
    .tableOf(definition)
    .render(objects, { nowMs: context.clock.wallMs(), include, metadata, withColumns: true });
}

export function parseInclude(query: URLSearchParams): RowObject {
  const include = query.get('includeObject') ?? 'Metadata';
  if (include === 'None' || include === 'Metadata' || include === 'Object') return include;
  if (include === '') return 'Metadata';
  throw badRequest(`includeObject must be None, Metadata or Object, but is ${JSON.stringify(include)}`);
}

export function scopeOf({ definition, namespace }: ListTarget, query: URLSearchParams): Scope {
  const byLabel = parseLabelSelector(query.get('labelSelector') ?? undefined);
  const byField = parseFieldSelector(definition, query.get('fieldSelector') ?? undefined);
  const matches: ObjectFilter = (object) => byField(object) && byLabel(object);
  return { kind: resourceName(definition), namespace, matches };
}

interface Page {
  readonly items: readonly StoredObject[];
  readonly version: number;
  readonly next?: string;
  readonly remaining?: number;
}

function readPage(context: ReadContext, { query }: HttpCall, target: ListTarget): Page {
  const scope = scopeOf(target, query);
  const limit = parseLimit(query.get('limit'));
  const token = query.get('continue') ?? '';
  const position = token === '' ? undefined : parseContinueToken(token);
  const version = position?.version ?? versionToRead(context.store, query);
  const all = candidates(context, { target, query, version });
  if (all === undefined) throw position === undefined ? goneVersion(version) : continueExpired();
  const start = position === undefined ? all : all.filter((stored) => placeKey(stored) > position.after);
  const matching = start.filter((stored) => isInScope(stored, scope));
  const last = limit === undefined ? undefined : matching[limit - 1];
  if (limit === undefined || last === undefined || matching.length === limit) return { items: matching, version };
  const next = renderContinueToken({ version, after: placeKey(last) });
  return { items: matching.slice(0, limit), version, next, remaining: matching.length - limit };
}

/** One object when the selector names it, else all of the kind as they were at the version. */
function candidates(
  { store, history }: ReadContext,
  { target, query, version }: { target: ListTarget; query: URLSearchParams; version: number },
): readonly StoredObject[] | undefined {
  const kind = resourceName(target.definition);
  const name = selectedName(query.get('fieldSelector') ?? undefined);
  const isNow = version === store.version();
  if (isNow && name !== undefined && (target.namespace !== undefined || !target.definition.namespaced)) {
    const stored = store.get({ kind, namespace: target.namespace ?? '', name });
    return stored === undefined ? [] : [stored];
  }
  return isNow ? store.list(kind) : history.at(kind, version, store.list(kind));
}

/** Any version that is not older than asked for will do, unless exactly one is asked for. */
function versionToRead(store: ObjectStore, query: URLSearchParams): number {
  const current = store.version();
  const asked = parseVersion(query.get('resourceVersion'));
  const match = query.get('resourceVersionMatch') ?? '';
  if (!['', 'NotOlderThan', 'Exact'].includes(match))
    throw badRequest(`resourceVersionMatch must be NotOlderThan or Exact, but is ${JSON.stringify(match)}`);
  if (asked === undefined) {
    if (match !== '') throw badRequest('resourceVersionMatch is forbidden unless resourceVersion is provided');
    return current;
  }
  if (asked > current) throw versionTooLarge(asked, current);
  if (match !== 'Exact') return current;
  if (asked === 0) throw badRequest('resourceVersionMatch "Exact" is forbidden for resourceVersion "0"');
  return asked;
}

/** Throws ApiError 400. Empty and missing are the same. */
export function parseVersion(text: string | null): number | undefined {
  if (text === null || text === '') return undefined;
  if (!/^\d{1,15}$/.test(text))
    throw badRequest(`resourceVersion: Invalid value: ${JSON.stringify(text)}: must be a whole number`);
  return Number(text);
}

function parseLimit(text: string | null): number | undefined {
  if (text === null || text === '' || text === '0') return undefined;
  if (!/^\d{1,9}$/.test(text))
    throw badRequest(`limit: Invalid value: ${JSON.stringify(text)}: must be a whole number of 0 or more`);
  return Number(text);
}

function goneVersion(version: number): Error {
  return expired(`The provided resource version ${version} is too old: list again without one.`);
}
