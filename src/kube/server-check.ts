// Whether this API server can be worked with: new enough, with our kinds, and with every field that we write. Asks what
// every authenticated caller may read (version and OpenAPI), so it needs no rights of its own. Changes nothing.
import type { KindDefinition } from '../api/crd.ts';
import type { StructuralSchema } from '../api/structural-schema.ts';
import { type Clock, delay } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { record } from './answers.ts';
import { KUBERNETES_MINOR_MIN, SERVER_CHECK_PATIENCE_MS, SERVER_CHECK_RETRY_MS } from './bounds.ts';
import type { KubeClient } from './client.ts';

export interface ServerCheckOptions {
  readonly client: KubeClient;
  readonly definitions: readonly KindDefinition[];
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Resolves when everything is there. Rejects with a sentence that says what to do; what has just been installed gets
 * SERVER_CHECK_PATIENCE_MS to appear. A server that does not answer is waited for until the signal aborts.
 */
export async function checkServer(options: ServerCheckOptions, signal: AbortSignal): Promise<void> {
  const { clock, log } = options;
  let sinceMs: number | undefined;
  for (;;) {
    const verdict = await look(options, signal);
    if (verdict === undefined) return;
    signal.throwIfAborted();
    sinceMs = verdict.isAway ? undefined : (sinceMs ?? clock.nowMs());
    if (sinceMs !== undefined && clock.nowMs() - sinceMs >= SERVER_CHECK_PATIENCE_MS) throw new Error(verdict.sentence);
    log.warn({ reason: verdict.sentence }, 'the API server cannot be worked with yet');
    await delay(clock, SERVER_CHECK_RETRY_MS, signal);
  }
}

interface Verdict {
  readonly sentence: string;
  /** Nothing is known: it did not answer. */
  readonly isAway: boolean;
}

async function look(options: ServerCheckOptions, signal: AbortSignal): Promise<Verdict | undefined> {
  const { client, definitions } = options;
  try {
    const version = await client.send({ method: 'GET', path: '/version', signal });
    if (version.status !== 200) return refusal('/version', version.status);
    const old = judgeVersion(version.body);
    if (old !== undefined) return { sentence: old, isAway: false };
    const group = definitions[0] === undefined ? '' : `${definitions[0].group}/${definitions[0].version}`;
    const path = `/openapi/v3/apis/${group}`;
    const document = await client.send({ method: 'GET', path, signal });
    if (document.status !== 200 && document.status !== 404) return refusal(path, document.status);
    const sentence = judgeKinds(document.status === 404 ? {} : document.body, definitions);
    return sentence === undefined ? undefined : { sentence, isAway: false };
  } catch (error) {
    return { sentence: error instanceof Error ? error.message : String(error), isAway: true };
  }
}

function refusal(path: string, status: number): Verdict {
  const sentence = `The API server answered ${status} to ${path}: check the address and the credentials in the kubeconfig.`;
  return { sentence, isAway: status === 429 || status >= 500 };
}

/** A sentence when the server is too old. What cannot be read is left to the first call that fails. */
export function judgeVersion(body: unknown): string | undefined {
  const { major, minor, gitVersion } = record(body);
  const [first, second] = [major, minor].map((text) => Number.parseInt(String(text), 10));
  if (first !== 1 || second === undefined || Number.isNaN(second) || second >= KUBERNETES_MINOR_MIN) return undefined;
  return `This is Kubernetes ${String(gitVersion)}, and 1.${KUBERNETES_MINOR_MIN} or newer is needed: upgrade the cluster.`;
}

/** A sentence when kinds or fields are missing in an OpenAPI document. */
export function judgeKinds(document: unknown, definitions: readonly KindDefinition[]): string | undefined {
  const schemas = Object.values(record(record(record(document).components).schemas));
  const schemaOf = (kind: string) =>
    schemas.find((schema) => {
      const kinds = record(schema)['x-kubernetes-group-version-kind'];
      return Array.isArray(kinds) && kinds.some((one) => record(one).kind === kind);
    });
  const absent = definitions.filter(({ kind }) => schemaOf(kind) === undefined).map(({ kind }) => kind);
  if (absent.length > 0) {
    return `The cluster does not know ${absent.join(', ')}: install the chart stoker-crds, then start the controller again.`;
  }
  const missing = definitions.flatMap(({ kind, schema }) => fieldsMissing(schema, schemaOf(kind), kind));
  if (missing.length === 0) return undefined;
  return `The kinds in the cluster are older than this controller, they lack ${missing.slice(0, 3).join(', ')}: upgrade the chart stoker-crds first.`;
}

function fieldsMissing(wanted: StructuralSchema, served: unknown, path: string): string[] {
  const properties = record(record(served).properties);
  const own = Object.entries(wanted.properties ?? {}).flatMap(([name, inner]) => {
    const field = `${path}.${name}`;
    if (!Object.hasOwn(properties, name)) return [field];
    // The server describes metadata by a reference.
    return name === 'metadata' ? [] : fieldsMissing(inner, properties[name], field);
  });
  return [...own, ...(wanted.items === undefined ? [] : fieldsMissing(wanted.items, record(served).items, path))];
}
