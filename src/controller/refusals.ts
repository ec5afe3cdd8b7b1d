// What it means when the API server will not have what the controller writes: in the words of somebody who can mend it. Pure.
// Says nothing of a server that is away or busy: that passes.

export const refusalReasons = ['MissingRight', 'QuotaExceeded', 'PodSecurityRefused', 'ServerRefused'] as const;

export interface Refusal {
  /** A condition's and an Event's reason, stable. */
  readonly reason: (typeof refusalReasons)[number];
  readonly message: string;
}

const SENTENCE_CHARS_MAX = 600;

export function isRefusal(trouble: { readonly reason: string }): trouble is Refusal {
  return refusalReasons.some((reason) => reason === trouble.reason);
}

/** `sentence` is the server's own. */
export function explainRefusal(sentence: string): Refusal {
  const said = sentence.replaceAll(/\s+/g, ' ').slice(0, SENTENCE_CHARS_MAX).replace(/\.$/, '');
  if (/ cannot \w+ resource "/.test(said)) {
    const remedy = 'Bind a Role with this right to the ServiceAccount of the controller';
    const message = `The controller lacks a right (${said}). ${remedy}: the chart does with rbac.create=true. \`stoker doctor\` names all that are missing.`;
    return { reason: 'MissingRight', message };
  }
  if (/exceeded quota/.test(said)) {
    const remedy = 'Raise the ResourceQuota of the namespace, or lower slots of the Pool.';
    return { reason: 'QuotaExceeded', message: `A quota is used up (${said}). ${remedy}` };
  }
  if (/violates PodSecurity/.test(said)) {
    const remedy =
      'Label the namespace pod-security.kubernetes.io/enforce=baseline, or set spec.pod.security of the Pool to Restricted.';
    return { reason: 'PodSecurityRefused', message: `The namespace does not take such Pods (${said}). ${remedy}` };
  }
  const remedy = 'Look at the admission policies and webhooks of the cluster.';
  return { reason: 'ServerRefused', message: `The API server does not take it (${said}). ${remedy}` };
}
