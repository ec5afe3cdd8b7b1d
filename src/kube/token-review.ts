// Asks the API server who a bearer token belongs to, for one audience. Never logs or returns the token.
import type { ClusterObject, KindRef } from '../api/group.ts';
import { fail, ok } from '../lib/result.ts';
import { readTokenLife } from '../lib/token-life.ts';
import type { ClusterResult, TokenIdentity } from '../ports/cluster.ts';
import { errorOfAnswer, record } from './answers.ts';
import { pathOfKind } from './client.ts';
import type { KubeTransport } from './transport.ts';

const tokenReview: KindRef<ClusterObject> = {
  apiVersion: 'authentication.k8s.io/v1',
  kind: 'TokenReview',
  plural: 'tokenreviews',
};
/** Where the server puts the Pod that a token is bound to. */
const POD_NAME = 'authentication.kubernetes.io/pod-name';
const POD_UID = 'authentication.kubernetes.io/pod-uid';

/** Unauthorized when the token is nobody's, has expired, or is for another audience. */
export async function reviewToken(
  transport: KubeTransport,
  token: string,
  audience: string,
  signal?: AbortSignal,
): ClusterResult<TokenIdentity> {
  const body = { apiVersion: tokenReview.apiVersion, kind: tokenReview.kind, spec: { token, audiences: [audience] } };
  const sent = await transport.send({
    method: 'POST',
    path: pathOfKind(tokenReview),
    body,
    ...(signal === undefined ? {} : { signal }),
  });
  if (!sent.ok) return sent;
  if (sent.value.status >= 300) return fail(errorOfAnswer(sent.value));
  const identity = identityOf(record(record(sent.value.body).status), audience);
  if (identity === undefined) {
    return fail({ reason: 'Unauthorized', message: `the token is not valid for the audience ${audience}` });
  }
  // The review does not say when the token ends. The server has judged it, so its own words hold.
  const life = readTokenLife(token);
  return ok(life === undefined ? identity : { ...identity, expiresAtMs: life.expiresAtMs });
}

/** A server that does not know audiences leaves them out: its verdict is about another audience then, and not ours. */
function identityOf(status: Readonly<Record<string, unknown>>, audience: string): TokenIdentity | undefined {
  const { authenticated, audiences, user } = status;
  const { username, extra } = record(user);
  if (authenticated !== true || typeof username !== 'string' || username === '') return undefined;
  if (!Array.isArray(audiences) || !audiences.includes(audience)) return undefined;
  const podName = firstOf(record(extra)[POD_NAME]);
  const podUid = firstOf(record(extra)[POD_UID]);
  return { username, ...(podName === undefined ? {} : { podName }), ...(podUid === undefined ? {} : { podUid }) };
}

function firstOf(value: unknown): string | undefined {
  const first: unknown = Array.isArray(value) ? value[0] : undefined;
  return typeof first === 'string' ? first : undefined;
}
