// What it means when something that the controller writes is not taken: in the words of somebody who can mend it. Pure.
// Says nothing of how often it is tried again.
import type { Outcome } from './work-queue.ts';

export const refusalReasons = [
  'MissingRight',
  'QuotaExceeded',
  'PodSecurityRefused',
  'WebhookFailed',
  'ServerRefused',
  'ServerFailed',
  'PolicyTaken',
] as const;

type RefusalReason = (typeof refusalReasons)[number];

export interface Refusal {
  /** A condition's and an Event's reason, stable. */
  readonly reason: RefusalReason;
  readonly message: string;
}

const SENTENCE_CHARS_MAX = 600;

export function isRefusal(trouble: { readonly reason: string }): trouble is Refusal {
  return refusalReasons.some((reason) => reason === trouble.reason);
}

/** Of what somebody has to mend; undefined for everything else. */
export function refusalOf(outcome: Outcome): Refusal | undefined {
  return outcome.type === 'failed' && outcome.isRefused === true ? explainFailure(outcome) : undefined;
}

/** Of a server that is away or busy, too; undefined when nothing failed. */
export function explainFailure(outcome: Outcome): Refusal | undefined {
  if (outcome.type !== 'failed') return undefined;
  const { sentence, isRefused, ownReason } = outcome;
  if (ownReason !== undefined) return { reason: ownReason, message: sentence };
  if (isRefused === true) return explainRefusal(sentence);
  const remedy = 'It is tried again, more and more slowly. If it stays, look at the API server.';
  return { reason: 'ServerFailed', message: `The API server cannot do it now (${quote(sentence)}). ${remedy}` };
}

/** A webhook that denies chooses its status code, and one that does not answer is an internal error of the server. */
export function isFinal(sentence: string): boolean {
  return WEBHOOK_FAILED.test(sentence) || /^admission webhook .* denied the request/.test(sentence);
}

const WEBHOOK_FAILED = /failed calling webhook/;

function quote(sentence: string): string {
  return sentence.replaceAll(/\s+/g, ' ').slice(0, SENTENCE_CHARS_MAX).replace(/\.$/, '');
}

/** `sentence` is the server's own. */
export function explainRefusal(sentence: string): Refusal {
  const said = quote(sentence);
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
  if (WEBHOOK_FAILED.test(said)) {
    const remedy =
      'Mend what serves it, or delete its configuration: `kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations` lists them.';
    return { reason: 'WebhookFailed', message: `A webhook of the cluster does not answer (${said}). ${remedy}` };
  }
  const remedy = 'Look at the admission policies and webhooks of the cluster.';
  return { reason: 'ServerRefused', message: `The API server does not take it (${said}). ${remedy}` };
}
