// Resolves the environment of a container: what its spec says, over what the node always sets. Values of Secrets pass
// through here and appear in no sentence.
import type { EnvVar, Pod, Secret } from '../../api/kinds.ts';
import { fail, ok, type Result } from '../../lib/result.ts';

export interface EnvironmentSources {
  readonly pod: Pod;
  readonly podIp: string;
  /** The Secret of the Pod's namespace, or the sentence why there is none. */
  readSecret(name: string): Promise<Result<Secret, string>>;
}

/** The variables that `env` names, in its order; a later one of the same name goes first. */
export async function resolveEnvironment(
  env: readonly EnvVar[],
  sources: EnvironmentSources,
): Promise<Result<Record<string, string>, string>> {
  const resolved: Record<string, string> = {};
  for (const variable of env) {
    if (!/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(variable.name)) {
      return fail(`${JSON.stringify(variable.name)} is no name of a variable.`);
    }
    const value = await resolveVariable(variable, sources);
    if (!value.ok) return value;
    if (value.value === undefined) continue;
    if (value.value.includes('\0'))
      return fail(`Variable ${variable.name} holds a zero byte, which no environment can.`);
    resolved[variable.name] = value.value;
  }
  return ok(resolved);
}

/** Undefined: there is nothing to set, and that is no mistake. */
async function resolveVariable(
  variable: EnvVar,
  sources: EnvironmentSources,
): Promise<Result<string | undefined, string>> {
  const { name, value, valueFrom } = variable;
  if (valueFrom?.fieldRef !== undefined) return readField(name, valueFrom.fieldRef.fieldPath, sources);
  if (valueFrom?.secretKeyRef !== undefined) return readSecretKey(name, valueFrom.secretKeyRef, sources);
  if (valueFrom !== undefined) {
    return fail(
      `Variable ${name} comes from a source that the local node does not know; it knows fieldRef and secretKeyRef.`,
    );
  }
  return ok(value ?? '');
}

function readField(name: string, path: string, { pod, podIp }: EnvironmentSources): Result<string, string> {
  const fields: Readonly<Record<string, string | undefined>> = {
    'metadata.name': pod.metadata.name,
    'metadata.namespace': pod.metadata.namespace,
    'metadata.uid': pod.metadata.uid,
    'spec.serviceAccountName': pod.spec.serviceAccountName ?? 'default',
    'status.podIP': podIp,
    'status.hostIP': podIp,
  };
  const value = Object.hasOwn(fields, path) ? fields[path] : undefined;
  return value === undefined
    ? fail(`Variable ${name} wants the field ${path}. The local node knows ${Object.keys(fields).join(', ')}.`)
    : ok(value);
}

async function readSecretKey(
  name: string,
  ref: { readonly name: string; readonly key: string; readonly optional?: boolean },
  sources: EnvironmentSources,
): Promise<Result<string | undefined, string>> {
  const secret = await sources.readSecret(ref.name);
  if (!secret.ok) return fail(`Variable ${name} wants the Secret ${ref.name}: ${secret.error}`);
  const encoded = secret.value.data?.[ref.key];
  if (encoded === undefined && ref.optional === true) return ok(undefined);
  if (encoded === undefined)
    return fail(`Variable ${name} wants the key ${ref.key} of the Secret ${ref.name}, which has none of that name.`);
  return ok(Buffer.from(encoded, 'base64').toString('utf8'));
}
