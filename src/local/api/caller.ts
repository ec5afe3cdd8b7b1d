// Who calls, and what they may do. Four tokens are kept in the data folder, one for each kind of caller; they are
// compared by SHA-256 in constant time. Pods are written by the controller and the node alone.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { join } from 'node:path';
import { asObject, asText, type JsonObject } from './json-value.ts';
import { readPrivateFile, writePrivateFile } from './private-file.ts';

export type CallerKind = 'person' | 'controller' | 'node' | 'router';

export interface Caller {
  readonly kind: CallerKind;
  readonly user: string;
  readonly groups: readonly string[];
}

export type CallerTokens = Readonly<Record<CallerKind, string>>;

const TOKEN_BYTES = 32;

export const callers: Readonly<Record<CallerKind, Caller>> = {
  person: { kind: 'person', user: 'person', groups: ['stoker:people', 'system:authenticated'] },
  controller: {
    kind: 'controller',
    user: 'system:serviceaccount:default:stoker-controller',
    groups: ['system:serviceaccounts', 'system:authenticated'],
  },
  node: { kind: 'node', user: 'system:node:local', groups: ['system:nodes', 'system:authenticated'] },
  router: {
    kind: 'router',
    user: 'system:serviceaccount:default:stoker-router',
    groups: ['system:serviceaccounts', 'system:authenticated'],
  },
};
const kindsOfCaller = ['person', 'controller', 'node', 'router'] as const;

/** Reads the tokens of the data folder; those that are missing are made, of 256 random bits. */
export function loadCallerTokens(folder: string): CallerTokens {
  const path = join(folder, 'tokens.json');
  const kept = parseKept(path, readPrivateFile(path) ?? '{}');
  const tokenOf = (kind: CallerKind) => asText(kept[kind]) ?? randomBytes(TOKEN_BYTES).toString('base64url');
  const tokens = {
    person: tokenOf('person'),
    controller: tokenOf('controller'),
    node: tokenOf('node'),
    router: tokenOf('router'),
  };
  writePrivateFile(path, `${JSON.stringify(tokens, null, 2)}\n`);
  return tokens;
}

/** Throws an Error with a sentence when it is no JSON; new tokens would lock out whoever still has the old ones. */
function parseKept(path: string, text: string): JsonObject {
  try {
    return asObject(JSON.parse(text));
  } catch {
    throw new Error(`The tokens in ${path} cannot be read. Remove the file to have new ones made.`);
  }
}

export type Authenticate = (token: string) => Caller | undefined;

export function createAuthenticator(tokens: CallerTokens): Authenticate {
  const rows = kindsOfCaller.map((kind) => ({ caller: callers[kind], digest: digestOf(tokens[kind]) }));
  return (token) => {
    const digest = digestOf(token);
    // All rows are compared, so that the time says nothing about which one it was.
    return rows.filter((row) => timingSafeEqual(row.digest, digest))[0]?.caller;
  };
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

export interface Action {
  /** get, list, watch, create, update, patch, delete, deletecollection. */
  readonly verb: string;
  /** Resource name, for example `models.stoker.dev`. */
  readonly resource: string;
  readonly subresource?: string;
}

/** Why the caller may not, as a sentence; undefined when they may. */
export function refusalOf(caller: Caller, action: Action): string | undefined {
  return rules[caller.kind](action);
}

const READS = new Set(['get', 'list', 'watch']);
const asksAboutItself = new Set([
  'selfsubjectreviews.authentication.k8s.io',
  'selfsubjectaccessreviews.authorization.k8s.io',
]);

/** What a kubelet needs, and no list of Secrets. */
const nodeMay: Readonly<Record<string, readonly string[]>> = {
  pods: ['get', 'list', 'watch', 'delete'],
  'pods/status': ['get', 'update', 'patch'],
  secrets: ['get'],
  'serviceaccounts/token': ['create'],
};

const rules: Readonly<Record<CallerKind, (action: Action) => string | undefined>> = {
  controller: () => undefined,
  person(action) {
    const { verb, resource, subresource } = action;
    if (resource === 'tokenreviews.authentication.k8s.io' || subresource === 'token')
      return 'tokens of Pods are the business of the controller and the node';
    if (resource !== 'pods' || READS.has(verb) || verb === 'delete' || verb === 'deletecollection') return undefined;
    return 'Pods are made and changed by the controller alone; change the Pool or the Model instead. You may read and delete Pods';
  },
  node(action) {
    const { verb, resource, subresource } = action;
    if (asksAboutItself.has(resource)) return undefined;
    const part = subresource === undefined ? resource : `${resource}/${subresource}`;
    if (nodeMay[part]?.includes(verb) === true) return undefined;
    return 'the node runs Pods and does nothing else';
  },
  router({ resource }) {
    return asksAboutItself.has(resource)
      ? undefined
      : 'the router works from its routing table and has no access to objects';
  },
};
