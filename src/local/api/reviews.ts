// Questions about identity and rights: TokenRequest, TokenReview, SelfSubjectReview, SelfSubjectAccessReview. Nothing
// here is stored, and no token ever reaches a log or a sentence.
import type { Clock } from '../../lib/clock.ts';
import { type Authenticate, type Caller, refusalOf } from './caller.ts';
import type { Answer, HttpCall } from './http-call.ts';
import { asObject, asText, type JsonObject, member, valueAt } from './json-value.ts';
import { renderTime } from './object-form.ts';
import type { ObjectStore } from './object-store.ts';
import { acceptedAudiences, type PodTokenKey, userOfServiceAccount } from './pod-tokens.ts';
import { badRequest, conflict, forbidden, methodNotAllowed, notFound } from './status-error.ts';

export interface ReviewContext {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly authenticate: Authenticate;
  readonly podTokenKey: PodTokenKey;
  /** What the router's token is for. */
  readonly linkAudience: string;
}

/** Of tokens that open this API, and of token requests that name no audience. */
const API_AUDIENCE = 'https://kubernetes.default.svc';
const EXPIRATION_SECONDS = 3600;
const EXPIRATION_SECONDS_MIN = 600;
const EXPIRATION_SECONDS_MAX = 86_400;
const AUDIENCES_MAX = 16;

export interface ReviewKind {
  readonly group: string;
  readonly plural: string;
  readonly kind: string;
  review(context: ReviewContext, caller: Caller, spec: JsonObject): JsonObject;
}

export const reviewKinds: readonly ReviewKind[] = [
  { group: 'authentication.k8s.io', plural: 'tokenreviews', kind: 'TokenReview', review: reviewToken },
  {
    group: 'authentication.k8s.io',
    plural: 'selfsubjectreviews',
    kind: 'SelfSubjectReview',
    review: (_context, { user, groups }) => ({ userInfo: { username: user, groups } }),
  },
  {
    group: 'authorization.k8s.io',
    plural: 'selfsubjectaccessreviews',
    kind: 'SelfSubjectAccessReview',
    review: reviewOwnAccess,
  },
];

const REVIEW_PATH = /^\/apis\/([a-z0-9.]+)\/v1\/([a-z]+)$/;
const TOKEN_PATH = /^\/api\/v1\/namespaces\/([^/]+)\/serviceaccounts\/([^/]+)\/token$/;

/** Undefined when the path is of none of them. Throws ApiError. */
export async function serveReview(context: ReviewContext, call: HttpCall): Promise<Answer | undefined> {
  const [, namespace, name] = TOKEN_PATH.exec(call.pathname) ?? [];
  if (namespace !== undefined && name !== undefined) return serveTokenRequest(context, call, { namespace, name });
  const [, group, plural] = REVIEW_PATH.exec(call.pathname) ?? [];
  const kind = reviewKinds.find((one) => one.group === group && one.plural === plural);
  if (kind === undefined) return undefined;
  if (call.method !== 'POST') throw methodNotAllowed();
  assertMay(call.caller, `${kind.plural}.${kind.group}`);
  const spec = asObject(member(await call.readBody(), 'spec'));
  const status = kind.review(context, call.caller, spec);
  const shownSpec = kind.kind === 'TokenReview' ? { audiences: spec.audiences } : spec;
  const body = {
    apiVersion: `${kind.group}/v1`,
    kind: kind.kind,
    metadata: { creationTimestamp: null },
    spec: shownSpec,
    status,
  };
  return { code: 201, body };
}

function assertMay(caller: Caller, resource: string, subresource?: string): void {
  const action = { verb: 'create', resource, ...(subresource === undefined ? {} : { subresource }) };
  const refusal = refusalOf(caller, action);
  if (refusal !== undefined)
    throw forbidden(`${resource} is forbidden: User "${caller.user}" cannot create it: ${refusal}`);
}

function reviewToken(context: ReviewContext, _caller: Caller, spec: JsonObject): JsonObject {
  const token = asText(spec.token) ?? '';
  if (token === '') throw badRequest('spec.token is required');
  const wanted = parseAudiences(spec.audiences);
  return (
    reviewCallerToken(context, token, wanted) ??
    reviewPodToken(context, token, wanted) ?? { authenticated: false, user: {} }
  );
}

function parseAudiences(value: unknown): readonly string[] {
  const audiences = Array.isArray(value) ? value.map(String) : [];
  if (audiences.length > AUDIENCES_MAX)
    throw badRequest(`there are ${audiences.length} audiences; at most ${AUDIENCES_MAX} are allowed`);
  return audiences.length === 0 ? [API_AUDIENCE] : audiences;
}

/** The router's token is for the link; the others open this API. */
function reviewCallerToken(
  { authenticate, linkAudience }: ReviewContext,
  token: string,
  wanted: readonly string[],
): JsonObject | undefined {
  const caller = authenticate(token);
  if (caller === undefined) return undefined;
  const own = caller.kind === 'router' ? linkAudience : API_AUDIENCE;
  if (!wanted.includes(own)) return undefined;
  return { authenticated: true, user: { username: caller.user, groups: caller.groups }, audiences: [own] };
}

function reviewPodToken(
  { store, clock, podTokenKey }: ReviewContext,
  token: string,
  wanted: readonly string[],
): JsonObject | undefined {
  const claims = podTokenKey.open(token);
  if (claims === undefined) return undefined;
  const audiences = acceptedAudiences(claims, wanted, { objects: store, wallMs: clock.wallMs() });
  if (audiences === undefined) return undefined;
  const { namespace, serviceAccount, pod } = claims;
  const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'];
  const extra =
    pod === undefined
      ? {}
      : { 'authentication.kubernetes.io/pod-name': [pod.name], 'authentication.kubernetes.io/pod-uid': [pod.uid] };
  const user = {
    username: userOfServiceAccount(namespace, serviceAccount.name),
    uid: serviceAccount.uid,
    groups,
    extra,
  };
  return { authenticated: true, user, audiences };
}

function reviewOwnAccess(_context: ReviewContext, caller: Caller, spec: JsonObject): JsonObject {
  const { verb, group, resource, subresource } = asObject(spec.resourceAttributes);
  const plural = asText(resource) ?? '';
  if (plural === '') return { allowed: true };
  const groupName = asText(group) ?? '';
  const part = asText(subresource) ?? '';
  const refusal = refusalOf(caller, {
    verb: asText(verb) ?? '',
    resource: groupName === '' ? plural : `${plural}.${groupName}`,
    ...(part === '' ? {} : { subresource: part }),
  });
  return refusal === undefined ? { allowed: true } : { allowed: false, reason: refusal };
}

async function serveTokenRequest(
  context: ReviewContext,
  call: HttpCall,
  place: { namespace: string; name: string },
): Promise<Answer> {
  if (call.method !== 'POST') throw methodNotAllowed();
  assertMay(call.caller, 'serviceaccounts', 'token');
  const spec = asObject(member(await call.readBody(), 'spec'));
  const audiences = parseAudiences(spec.audiences);
  const seconds = parseExpiration(spec.expirationSeconds);
  const account = context.store.get({ kind: 'serviceaccounts', ...place });
  if (account === undefined)
    throw notFound({ group: '', plural: 'serviceaccounts', kind: 'ServiceAccount' }, place.name);
  const pod = boundPod(context, place.namespace, spec.boundObjectRef);
  const issuedAtSeconds = Math.floor(context.clock.wallMs() / 1000);
  const expiresAtSeconds = issuedAtSeconds + seconds;
  const token = context.podTokenKey.sign({
    namespace: place.namespace,
    serviceAccount: { name: place.name, uid: account.object.metadata.uid },
    ...(pod === undefined ? {} : { pod }),
    audiences,
    issuedAtSeconds,
    expiresAtSeconds,
  });
  const status = { token, expirationTimestamp: renderTime(expiresAtSeconds * 1000) };
  const body = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    metadata: { ...place, creationTimestamp: null },
    spec,
    status,
  };
  return { code: 201, body };
}

function parseExpiration(value: unknown): number {
  const seconds = value === undefined || value === null ? EXPIRATION_SECONDS : Number(value);
  if (!Number.isInteger(seconds) || seconds < EXPIRATION_SECONDS_MIN)
    throw badRequest(
      `spec.expirationSeconds must be at least ${EXPIRATION_SECONDS_MIN}, but is ${JSON.stringify(value)}`,
    );
  return Math.min(seconds, EXPIRATION_SECONDS_MAX);
}

/** Throws ApiError 404 or 409 when the Pod is not there, or is another one by now. */
function boundPod(
  { store }: ReviewContext,
  namespace: string,
  reference: unknown,
): { name: string; uid: string } | undefined {
  if (reference === undefined || reference === null) return undefined;
  const kind = asText(valueAt(reference, ['kind']));
  const name = asText(valueAt(reference, ['name'])) ?? '';
  if (kind !== 'Pod') throw badRequest('spec.boundObjectRef must be a Pod');
  const definition = { group: '', plural: 'pods', kind: 'Pod' };
  const stored = store.get({ kind: 'pods', namespace, name });
  if (stored === undefined) throw notFound(definition, name);
  const { uid } = stored.object.metadata;
  const wanted = asText(valueAt(reference, ['uid'])) ?? uid;
  if (wanted !== uid)
    throw conflict(
      definition,
      name,
      `the UID in the bound object reference (${wanted}) does not match the UID in record (${uid})`,
    );
  return { name, uid };
}
