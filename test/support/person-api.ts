// The Kubernetes API of a running Stoker as the person whose machine it is: objects are put there and looked at by path.
import { readFileSync } from 'node:fs';
import { Agent, request } from 'undici';
import { parse } from 'yaml';
import { delay, systemClock } from '../../src/lib/clock.ts';

export interface PersonApi {
  /** Makes objects, each where its kind belongs. Rejects with the server's sentence. */
  create(...objects: readonly WrittenObject[]): Promise<void>;
  /** `patch` is a JSON merge patch. */
  patch(kind: string, name: string, patch: object): Promise<void>;
  remove(kind: string, name: string): Promise<void>;
  get<T = SeenObject>(kind: string, name: string): Promise<T>;
  list<T = SeenObject>(kind: string): Promise<T[]>;
  /** Looks again and again until the condition holds. */
  until(condition: () => Promise<boolean>, what: string): Promise<void>;
  close(): Promise<void>;
}

const LOOK_EVERY_MS = 25;
const UNTIL_MS_MAX = 30_000;

export interface WrittenObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
}

export interface SeenObject {
  readonly metadata: { readonly name: string; readonly uid: string; readonly generation?: number };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly rung?: string;
    readonly stableRevision?: string;
    readonly conditions?: readonly { type: string; status: string; reason: string; message: string }[];
  };
}

const plurals: Readonly<Record<string, string>> = {
  Secret: 'api/v1/namespaces/default/secrets',
  Event: 'api/v1/namespaces/default/events',
  Pod: 'api/v1/namespaces/default/pods',
  ConfigMap: 'api/v1/namespaces/default/configmaps',
};

function pathOf(kind: string): string {
  return plurals[kind] ?? `apis/stoker.dev/v1alpha1/namespaces/default/${kind.toLowerCase()}s`;
}

export function personApi(kubeconfig: string): PersonApi {
  const config = parse(readFileSync(kubeconfig, 'utf8'));
  const { server, 'certificate-authority-data': authority } = config.clusters[0].cluster;
  const dispatcher = new Agent({ connect: { ca: Buffer.from(authority, 'base64').toString('utf8') } });
  const call = async (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: object): Promise<unknown> => {
    const response = await request(`${server}/${path}`, {
      method,
      dispatcher,
      headers: {
        authorization: `Bearer ${config.users[0].user.token}`,
        'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.body.text();
    if (response.statusCode >= 300) throw new Error(`${method} ${path}: ${response.statusCode} ${text}`);
    return JSON.parse(text);
  };
  return {
    async create(...objects) {
      for (const object of objects) await call('POST', pathOf(object.kind), object);
    },
    patch: async (kind, name, patch) => void (await call('PATCH', `${pathOf(kind)}/${name}`, patch)),
    remove: async (kind, name) => void (await call('DELETE', `${pathOf(kind)}/${name}`)),
    get: async <T>(kind: string, name: string) => (await call('GET', `${pathOf(kind)}/${name}`)) as T,
    list: async <T>(kind: string) => ((await call('GET', pathOf(kind))) as { items: T[] }).items,
    async until(condition, what) {
      const endMs = systemClock.nowMs() + UNTIL_MS_MAX;
      while (!(await condition())) {
        if (systemClock.nowMs() > endMs) throw new Error(`waited ${UNTIL_MS_MAX} ms in vain for: ${what}`);
        await delay(systemClock, LOOK_EVERY_MS);
      }
    },
    close: () => dispatcher.close(),
  };
}
