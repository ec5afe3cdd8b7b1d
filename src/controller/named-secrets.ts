// What is said of a Secret that a Model names and that cannot be used: it is Stoker's own, it is not there, or the controller may
// not read it. One place for the sentences. Reads nothing.
import { AUTHORITY_SECRET } from './link-identity.ts';
import { SEED_SECRET } from './slot-keys.ts';

export interface SecretRefusal {
  readonly reason: 'SecretForbidden' | 'SecretMissing';
  readonly message: string;
}

/** Where the Secrets stand that the controller may read beside its own. */
export const READ_SECRETS = 'rbac.readSecrets of the chart';

const own: readonly string[] = [SEED_SECRET, AUTHORITY_SECRET];

/** A Model must not be a way to have the keys of slots or of the link sent somewhere. `field` names the Secret. */
export function refuseOwnSecret(name: string, field: string): SecretRefusal | undefined {
  if (!own.includes(name)) return undefined;
  return { reason: 'SecretForbidden', message: `The Secret ${name} is Stoker's own. Change ${field}.` };
}

export function explainUnread(name: string, field: string, reason: 'NotFound' | 'Forbidden'): SecretRefusal {
  if (reason === 'NotFound') {
    return { reason: 'SecretMissing', message: `There is no Secret ${name}. Make it, or change ${field}.` };
  }
  const message = `The controller may not read the Secret ${name}. Name it in ${READ_SECRETS}, or change ${field}.`;
  return { reason: 'SecretForbidden', message };
}
