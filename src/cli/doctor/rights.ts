// Checks of who may do what: the controller's account against everything that the controller does, and the caller against
// what a person does with Stoker. Asks the server's own authorizer; changes nothing.
import {
  type Access,
  accessesOf,
  CONTROLLER_ACCOUNT,
  controllerRules,
  renderAccesses,
  reviewRight,
} from '../../api/controller-rights.ts';
import { at, type ClusterReader } from './cluster-reader.ts';
import { bad, doubtful, type Finding, good, skipped } from './finding.ts';

const REVIEWS = '/apis/authorization.k8s.io/v1';
/** Reviews under way at once. */
const REVIEWS_MAX = 8;

const personNeeds: readonly Access[] = ['pools', 'models'].flatMap((resource) =>
  ['get', 'list', 'create', 'patch', 'delete'].map((verb) => ({ group: 'stoker.dev', resource, verb })),
);

export async function checkControllerRights(reader: ClusterReader): Promise<Finding> {
  const check = 'rights of the controller';
  const user = `system:serviceaccount:${reader.namespace}:${CONTROLLER_ACCOUNT}`;
  const groups = ['system:serviceaccounts', `system:serviceaccounts:${reader.namespace}`, 'system:authenticated'];
  const reviews: Access[] = [...accessesOf(controllerRules), reviewRight];
  const verdict = await lacking(reader, reviews, (attributes) => ({
    path: `${REVIEWS}/subjectaccessreviews`,
    body: review('SubjectAccessReview', { user, groups, resourceAttributes: attributes }),
  }));
  if (typeof verdict === 'string') {
    return skipped(check, `You may not ask what others may do (${verdict}).`, 'Run it as an administrator.');
  }
  if (verdict.length === 0)
    return good(check, `${CONTROLLER_ACCOUNT} may do all of the ${reviews.length} things that it does.`);
  const message = `${CONTROLLER_ACCOUNT} may not: ${renderAccesses(verdict)}.`;
  return bad(check, message, 'Install the chart with rbac.create=true, or bind a Role with these to it.');
}

export async function checkOwnRights(reader: ClusterReader): Promise<Finding> {
  const check = 'your rights';
  const verdict = await lacking(reader, personNeeds, (attributes) => ({
    path: `${REVIEWS}/selfsubjectaccessreviews`,
    body: review('SelfSubjectAccessReview', { resourceAttributes: attributes }),
  }));
  if (typeof verdict === 'string') return skipped(check, verdict);
  if (verdict.length === 0) return good(check, 'You may read and change Pools and Models.');
  return doubtful(check, `You may not: ${renderAccesses(verdict)}.`, 'Ask an administrator if you have to.');
}

function review(kind: string, spec: object): object {
  return { apiVersion: 'authorization.k8s.io/v1', kind, spec };
}

type Question = (attributes: object) => { readonly path: string; readonly body: object };

/** What is not allowed, or a sentence when it cannot be asked. */
async function lacking(
  reader: ClusterReader,
  accesses: readonly Access[],
  ask: Question,
): Promise<readonly Access[] | string> {
  const missing: Access[] = [];
  for (let from = 0; from < accesses.length; from += REVIEWS_MAX) {
    const some = accesses.slice(from, from + REVIEWS_MAX);
    const answers = await Promise.all(
      some.map((access) => {
        // Reviews of tokens belong to no namespace.
        const place = access.group === 'authentication.k8s.io' ? {} : { namespace: reader.namespace };
        const { path, body } = ask({ ...access, ...place });
        return reader.review(path, body);
      }),
    );
    for (const [index, answer] of answers.entries()) {
      if (answer.type === 'refused') return answer.sentence;
      if (answer.type === 'absent') return 'this server has no access reviews';
      const access = some[index];
      if (access !== undefined && at(answer.value, 'status', 'allowed') !== true) missing.push(access);
    }
  }
  return missing;
}
