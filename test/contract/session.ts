// How the contract's tests speak to a server: raw HTTP calls, watches as a sequence of events, and objects to send.
// Everything it makes carries a name of its own, so that the suite may run against a server that others use.
import assert from 'node:assert/strict';
import { Agent, request } from 'undici';
import { API_VERSION, type KindRef } from '../../src/api/group.ts';
import { kinds } from '../../src/api/kinds.ts';
import type { KubeAnswer } from '../../src/kube/answers.ts';
import { pathOfKind } from '../../src/kube/client.ts';
import type { Connection } from '../../src/kube/connection.ts';
import { createLineSplitter } from '../../src/kube/lines.ts';
import { createKubeTransport, type KubeCall, type KubeTransport } from '../../src/kube/transport.ts';
import { systemClock } from '../../src/lib/clock.ts';

// biome-ignore lint/suspicious/noExplicitAny: answers are read by tests alone, which fail where a field is missing
export type Json = any;

export interface ContractServer {
  readonly connection: Connection;
  /** Exists, and holds no objects that the suite's selectors could meet. */
  readonly namespace: string;
  close(): Promise<void>;
}

export interface Answer extends KubeAnswer {
  readonly body: Json;
}

export interface CallOptions {
  readonly body?: object;
  /** The content type; `merge` and `json` stand for the two kinds of patch. */
  readonly type?: 'merge' | 'json' | (string & {});
  readonly accept?: string;
}

const patchTypes: Readonly<Record<string, string>> = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
};
export const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';

export interface WatchEvent {
  readonly type: string;
  readonly object: Json;
}

export interface OpenWatch {
  /** The next event that is no bookmark. Rejects when the watch ended. */
  next(): Promise<WatchEvent>;
  /** The next event of any type. Undefined when the watch ended. */
  nextOfAny(): Promise<WatchEvent | undefined>;
  close(): void;
}

/** One server under test. `open` comes first. */
export class Session {
  #server: ContractServer | undefined;
  #transport: KubeTransport | undefined;
  #watches: Agent | undefined;
  #names = 0;

  async open(connect: () => Promise<ContractServer>): Promise<void> {
    this.#server = await connect();
    this.#transport = createKubeTransport(this.#server.connection, systemClock);
    this.#watches = new Agent({ connect: { ...this.#server.connection.tls }, bodyTimeout: 0 });
  }

  async close(): Promise<void> {
    await this.#transport?.close();
    await this.#watches?.destroy();
    await this.#server?.close();
  }

  get server(): ContractServer {
    assert.ok(this.#server, 'the session is open');
    return this.#server;
  }

  get namespace(): string {
    return this.server.namespace;
  }

  /** A name that no other test has. */
  name(prefix: string): string {
    this.#names += 1;
    return `${prefix}-${this.#names}-${Date.now().toString(36)}`;
  }

  path(kind: KindRef, name?: string, subresource?: string): string {
    const root = pathOfKind(kind, this.namespace);
    return [root, name, subresource].filter((part) => part !== undefined).join('/');
  }

  async send(method: KubeCall['method'], path: string, options: CallOptions = {}): Promise<Answer> {
    const { body, type, accept } = options;
    assert.ok(this.#transport);
    const sent = await this.#transport.send({
      method,
      path,
      ...(body === undefined ? {} : { body }),
      headers: {
        ...(type === undefined ? {} : { 'content-type': patchTypes[type] ?? type }),
        ...(accept === undefined ? {} : { accept }),
      },
    });
    assert.ok(sent.ok, sent.ok ? '' : sent.error.message);
    return sent.value;
  }

  /** The same, and the answer must have this code. Returns its body. */
  async expect(code: number, method: KubeCall['method'], path: string, options?: CallOptions): Promise<Json> {
    const { status, body } = await this.send(method, path, options);
    assert.equal(status, code, `${method} ${path}: ${JSON.stringify(body)}`);
    return body;
  }

  create(kind: KindRef, object: object): Promise<Json> {
    return this.expect(201, 'POST', this.path(kind), { body: object });
  }

  get(kind: KindRef, name: string): Promise<Json> {
    return this.expect(200, 'GET', this.path(kind, name));
  }

  merge(kind: KindRef, name: string, patch: object): Promise<Json> {
    return this.expect(200, 'PATCH', this.path(kind, name), { body: patch, type: 'merge' });
  }

  remove(kind: KindRef, name: string): Promise<Json> {
    return this.expect(200, 'DELETE', this.path(kind, name));
  }

  /** `query` begins with &; without a resourceVersion in it, what there is comes first. */
  watch(kind: KindRef, query: string, accept?: string): Promise<OpenWatch> {
    return this.watchPath(`${this.path(kind)}?watch=true&timeoutSeconds=60${query}`, accept);
  }

  async watchPath(path: string, accept = 'application/json'): Promise<OpenWatch> {
    const { connection } = this.server;
    const controller = new AbortController();
    const response = await request(connection.server + path, {
      ...(this.#watches === undefined ? {} : { dispatcher: this.#watches }),
      signal: controller.signal,
      headers: { accept, ...(await connection.authorize()) },
    });
    if (response.statusCode !== 200) assert.fail(`${path}: ${response.statusCode} ${await response.body.text()}`);
    return followLines(response.body, controller);
  }
}

function followLines(stream: AsyncIterable<Uint8Array>, controller: AbortController): OpenWatch {
  const events = readEvents(stream);
  const nextOfAny = async () => (await events.next()).value;
  return {
    nextOfAny,
    async next() {
      for (;;) {
        const event = await nextOfAny();
        assert.ok(event, 'the watch goes on');
        if (event.type !== 'BOOKMARK') return event;
      }
    },
    close: () => controller.abort(new Error('the test is done')),
  };
}

async function* readEvents(stream: AsyncIterable<Uint8Array>): AsyncGenerator<WatchEvent, undefined> {
  const lines = createLineSplitter(1024 * 1024);
  for await (const chunk of stream) {
    for (const line of lines.push(chunk) ?? []) yield JSON.parse(line);
  }
  return undefined;
}

export function model(
  name: string,
  changes: { spec?: object; metadata?: object; [field: string]: unknown } = {},
): Json {
  const { spec, metadata, ...rest } = changes;
  return {
    apiVersion: API_VERSION,
    kind: 'Model',
    metadata: { name, ...metadata },
    spec: { servedName: name, version: { weights: { file: { path: 'models/some.gguf' } } }, ...spec },
    ...rest,
  };
}

export function configMap(name: string, data: Readonly<Record<string, string>>, metadata: object = {}): Json {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, data };
}

export const { Model, ModelRevision, Pool, ConfigMap, Secret, Lease, Pod } = kinds;
export const Event: KindRef = { apiVersion: 'v1', kind: 'Event', plural: 'events' };
