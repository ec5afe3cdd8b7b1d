// What the controller may not do although it has to: one question to the server's own authorizer, and one more for each right
// that the answer leaves open. Changes nothing, and never stops the controller: it goes on with what it may.
import { type Access, accessesOf, controllerRules, reviewRight } from '../api/controller-rights.ts';
import { record } from './answers.ts';
import type { KubeClient } from './client.ts';

const REVIEWS = '/apis/authorization.k8s.io/v1';

export interface RightsCheckOptions {
  readonly client: Pick<KubeClient, 'send'>;
  readonly namespace: string;
}

/** Undefined when the server does not say: it has no access reviews, or does not answer. */
export async function findMissingRights(
  { client, namespace }: RightsCheckOptions,
  signal: AbortSignal,
): Promise<readonly Access[] | undefined> {
  const ask = async (kind: string, spec: object) => {
    const body = { apiVersion: 'authorization.k8s.io/v1', kind, spec };
    const path = `${REVIEWS}/${kind.toLowerCase()}s`;
    const answer = await client.send({ method: 'POST', path, body, signal });
    return answer.status < 300 ? record(record(answer.body).status) : undefined;
  };
  try {
    const rules = await ask('SelfSubjectRulesReview', { namespace });
    if (rules === undefined) return undefined;
    const wanted = [...accessesOf(controllerRules), reviewRight];
    const missing: Access[] = [];
    for (const access of wanted.filter((one) => !isAllowed(one, rules.resourceRules))) {
      // Authorizers that cannot list their rules leave some out: these are asked for one by one.
      const place = access === reviewRight ? {} : { namespace };
      const verdict = await ask('SelfSubjectAccessReview', { resourceAttributes: { ...access, ...place } });
      if (verdict?.allowed === false) missing.push(access);
    }
    return missing;
  } catch {
    return undefined;
  }
}

function isAllowed({ group, resource, subresource, name, verb }: Access, rules: unknown): boolean {
  const path = subresource === undefined ? resource : `${resource}/${subresource}`;
  return (Array.isArray(rules) ? rules : []).some((rule) => {
    const { verbs, apiGroups, resources, resourceNames } = record(rule);
    const names = Array.isArray(resourceNames) ? resourceNames : [];
    return (
      has(verbs, verb) &&
      has(apiGroups, group) &&
      has(resources, path) &&
      (names.length === 0 || (name !== undefined && names.includes(name)))
    );
  });
}

function has(list: unknown, word: string): boolean {
  return Array.isArray(list) && (list.includes(word) || list.includes('*'));
}
