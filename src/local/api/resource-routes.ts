// The paths of kinds and objects: which verb a request is, whether the caller may, and who does it. Every write goes
// through the store's queue and is answered after its commit.
import { type Caller, refusalOf } from './caller.ts';
import { type ApiObject, apiVersionOf, type ResourceDefinition, resourceName } from './definition.ts';
import { type Deleted, type DeleteOptions, deleteObject, parseDeleteOptions, parseDryRun } from './deletion.ts';
import type { Answer, HttpCall } from './http-call.ts';
import { applyJsonPatch } from './json-patch.ts';
import { isTooDeep } from './json-value.ts';
import type { KindRegistry } from './kind-registry.ts';
import { parsePatchFormat } from './media-type.ts';
import { applyMergePatch } from './merge-patch.ts';
import type { FieldValidation } from './object-form.ts';
import type { StoredObject } from './object-index.ts';
import type { Transaction } from './object-store.ts';
import { answerList, answerObject, type ReadContext, scopeOf } from './reads.ts';
import type { ResourcePath } from './request-path.ts';
import { readScale, replaceScale } from './scale.ts';
import { badRequest, forbidden, methodNotAllowed, pathNotFound } from './status-error.ts';
import { isInScope, type WatchHub } from './watch-hub.ts';
import { serveWatch } from './watch-response.ts';
import { createObject, type Part, storedObject, updateObject, type WriteTarget, type Written } from './writes.ts';

export interface ResourceContext extends ReadContext {
  readonly registry: KindRegistry;
  readonly hub: WatchHub;
}

type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection';

interface Target extends ResourcePath {
  readonly definition: ResourceDefinition;
  readonly verb: Verb;
}

/** Serves a path of a kind. Throws ApiError. */
export async function serveResource(
  context: ResourceContext,
  call: HttpCall,
  path: ResourcePath,
): Promise<Answer | undefined> {
  const definition = context.registry.find(path.group, path.version, path.plural);
  if (definition === undefined || !hasSubresource(definition, path.subresource) || isMisplaced(definition, path))
    throw pathNotFound();
  const target = { ...path, definition, verb: verbOf(call, path) };
  if (definition.namespaced && path.namespace === undefined && !['list', 'watch'].includes(target.verb))
    throw methodNotAllowed();
  assertAllowed(call.caller, target);
  return handlers[target.verb](context, call, target);
}

function hasSubresource({ subresources }: ResourceDefinition, name: string | undefined): boolean {
  if (name === undefined) return true;
  return name === 'status' ? subresources.status === true : name === 'scale' && subresources.scale !== undefined;
}

/** Objects of a namespace are addressed in it; only lists and watches may be of all namespaces. */
function isMisplaced({ namespaced }: ResourceDefinition, { namespace, name }: ResourcePath): boolean {
  return namespaced ? namespace === undefined && name !== undefined : namespace !== undefined;
}

function verbOf({ method, query }: HttpCall, { name, subresource }: ResourcePath): Verb {
  const isWatch = ['true', '1'].includes(query.get('watch') ?? '');
  const verbs: Readonly<Record<string, Verb>> =
    name === undefined
      ? { GET: isWatch ? 'watch' : 'list', POST: 'create', DELETE: 'deletecollection' }
      : {
          GET: isWatch ? 'watch' : 'get',
          PUT: 'update',
          PATCH: 'patch',
          ...(subresource === undefined ? { DELETE: 'delete' as const } : {}),
        };
  const verb = Object.hasOwn(verbs, method) ? verbs[method] : undefined;
  if (verb === undefined) throw methodNotAllowed();
  return verb;
}

function assertAllowed(caller: Caller, { definition, verb, namespace, subresource }: Target): void {
  const resource = resourceName(definition);
  const refusal = refusalOf(caller, { verb, resource, ...(subresource === undefined ? {} : { subresource }) });
  if (refusal === undefined) return;
  const part = subresource === undefined ? definition.plural : `${definition.plural}/${subresource}`;
  const place = namespace === undefined ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  throw forbidden(
    `${resource} is forbidden: User "${caller.user}" cannot ${verb} resource "${part}" in API group "${definition.group}" ${place}: ${refusal}`,
  );
}

type VerbHandler = (context: ResourceContext, call: HttpCall, target: Target) => Promise<Answer | undefined>;

const handlers: Readonly<Record<Verb, VerbHandler>> = {
  async get(context, call, target) {
    const { definition } = target;
    const stored = storedObject(context.store, objectAddress(target));
    return target.subresource === 'scale'
      ? { code: 200, body: readScale(definition, stored.object) }
      : answerObject(context, call, definition, stored);
  },
  list: async (context, call, target) => answerList(context, call, target),
  async watch(context, call, target) {
    if (target.name !== undefined) call.query.set('fieldSelector', `metadata.name=${target.name}`);
    return serveWatch(context, call, target);
  },
  async create(context, call, target) {
    const input = await requiredBody(call);
    const options = writeOptions(context, call, target);
    const written = await context.store.transact((transaction) => createObject(transaction, options, input), options);
    return {
      code: 201,
      body: options.dryRun ? withoutVersion(written.object) : written.object,
      warnings: written.warnings,
    };
  },
  async update(context, call, target) {
    const input = await requiredBody(call);
    return change(context, call, { target, edit: () => input, isPatch: false });
  },
  async patch(context, call, target) {
    const format = parsePatchFormat(call.contentType);
    const patch = await requiredBody(call);
    const apply = format === 'merge' ? applyMergePatch : applyJsonPatch;
    return change(context, call, { target, edit: (current) => apply(current, patch), isPatch: true });
  },
  async delete(context, call, target) {
    const options = parseDeleteOptions(call.query, await call.readBody());
    const remove = (transaction: Transaction) =>
      deleteStored(context, { transaction, target, stored: storedObject(transaction, objectAddress(target)) }, options);
    return answerDeletion(target.definition, await context.store.transact(remove, options));
  },
  async deletecollection(context, call, target) {
    const options = parseDeleteOptions(call.query, await call.readBody());
    const { definition } = target;
    const scope = scopeOf(target, call.query);
    const removed = await context.store.transact(
      (transaction) =>
        transaction
          .list(resourceName(definition))
          .filter((stored) => isInScope(stored, scope))
          .map((stored) => deleteStored(context, { transaction, target, stored }, options).object),
      options,
    );
    const metadata = { resourceVersion: String(context.store.version()) };
    return {
      code: 200,
      body: { apiVersion: apiVersionOf(definition), kind: `${definition.kind}List`, metadata, items: removed },
    };
  },
};

function objectAddress({ definition, namespace, name }: Target): {
  definition: ResourceDefinition;
  namespace: string;
  name: string;
} {
  return { definition, namespace: namespace ?? '', name: name ?? '' };
}

interface Edit {
  readonly target: Target;
  /** From what is stored, or from its scale, to what the client wants. */
  edit(current: unknown): unknown;
  readonly isPatch: boolean;
}

async function change(context: ResourceContext, call: HttpCall, { target, edit, isPatch }: Edit): Promise<Answer> {
  const { definition } = target;
  const options = writeOptions(context, call, target);
  const address = { ...options, name: target.name ?? '', isPatch };
  let before: ApiObject | undefined;
  const part: Part = target.subresource === 'status' ? 'status' : 'object';
  const write = (transaction: Transaction): Written => {
    const { object } = storedObject(transaction, objectAddress(target));
    before = object;
    if (target.subresource !== 'scale')
      return updateObject(transaction, { ...address, part }, assertShallow(edit(object)));
    const wanted = replaceScale(definition, object, edit(readScale(definition, object)));
    return updateObject(transaction, { ...address, part, validation: 'Ignore' }, wanted);
  };
  const { object: written, warnings } = await context.store.transact(write, options);
  // What was tried out is not written: the version is still the one before.
  const object = options.dryRun ? withVersionOf(written, before) : written;
  return { code: 200, body: target.subresource === 'scale' ? readScale(definition, object) : object, warnings };
}

/** A JSON patch can nest deeper than any body may. */
function assertShallow(value: unknown): unknown {
  if (isTooDeep(value)) throw badRequest('the patched object is nested too deep');
  return value;
}

function writeOptions(
  { clock }: ResourceContext,
  { query }: HttpCall,
  target: Target,
): WriteTarget & { readonly dryRun: boolean } {
  const validation = query.get('fieldValidation') ?? '';
  if (!['', 'Ignore', 'Warn', 'Strict'].includes(validation))
    throw badRequest(`fieldValidation must be Ignore, Warn or Strict, but is ${JSON.stringify(validation)}`);
  return {
    definition: target.definition,
    namespace: target.namespace ?? '',
    validation: validation === '' ? 'Warn' : (validation as FieldValidation),
    wallMs: clock.wallMs(),
    dryRun: parseDryRun(query.getAll('dryRun')),
  };
}

async function requiredBody(call: HttpCall): Promise<unknown> {
  const body = await call.readBody();
  if (body === undefined) throw badRequest('the body is empty');
  return body;
}

function withVersionOf(object: ApiObject, before: ApiObject | undefined): ApiObject {
  const { resourceVersion } = before?.metadata ?? object.metadata;
  return { ...object, metadata: { ...object.metadata, resourceVersion } };
}

/** What was never written has no version. */
function withoutVersion(object: ApiObject): object {
  const { resourceVersion: _resourceVersion, ...metadata } = object.metadata;
  return { ...object, metadata };
}

function deleteStored(
  { clock }: ResourceContext,
  { transaction, target, stored }: { transaction: Transaction; target: Target; stored: StoredObject },
  options: DeleteOptions,
): Deleted {
  return deleteObject({ transaction, definition: target.definition, wallMs: clock.wallMs() }, stored, options);
}

/** What is still there is shown; what is gone, and was not a Pod, is a Status. */
function answerDeletion(definition: ResourceDefinition, { object, isGone }: Deleted): Answer {
  if (!isGone || definition.builtIn?.graceSeconds !== undefined) return { code: 200, body: object };
  const { name, uid } = object.metadata;
  const group = definition.group === '' ? {} : { group: definition.group };
  const details = { name, ...group, kind: definition.plural, uid };
  return { code: 200, body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details } };
}
