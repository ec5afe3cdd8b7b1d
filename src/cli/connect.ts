// The way from a command to the Kubernetes API: which kubeconfig, and a sentence for everything that goes wrong on the
// way. Refusals of a single object are answers, and are left to the command. Never prints a credential.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { KUBECONFIG_FILE } from '../api/addresses.ts';
import { type Connection, loadConnection } from '../kube/connection.ts';
import { createKubeTransport, type KubeTransport } from '../kube/transport.ts';
import { systemClock } from '../lib/clock.ts';
import { CommandError, type CommandIo } from './io.ts';
import { dataDirOf } from './local-addresses.ts';
import { type ApiAnswer, type ApiCall, NoAnswerError, type ObjectApi } from './object-api.ts';

const DEFAULT_NAMESPACE = 'default';

interface Route {
  readonly io: CommandIo;
  readonly path: string;
  readonly connection: Connection;
  readonly transport: KubeTransport;
}

/** Throws CommandError when no kubeconfig can be used. Nothing is sent yet. */
export async function connectApi(io: CommandIo, kubeconfigPath?: string): Promise<ObjectApi> {
  const path = chooseKubeconfig(io, kubeconfigPath);
  const connection = await readConnection(path);
  const route = { io, path, connection, transport: createKubeTransport(connection, systemClock) };
  return {
    namespace: connection.namespace ?? DEFAULT_NAMESPACE,
    send: (call) => send(route, call),
    close: () => route.transport.close(),
  };
}

/** The flag goes first, then KUBECONFIG, then the Stoker of this folder. */
function chooseKubeconfig(io: CommandIo, given: string | undefined): string {
  if (given !== undefined) return given;
  const named = (io.environment.KUBECONFIG ?? '').split(delimiter).filter((path) => path !== '');
  const present = named.filter((path) => existsSync(path));
  if (present.length > 1) {
    throw new CommandError(
      `KUBECONFIG names several files (${present.join(', ')}). Stoker reads one: choose it with --kubeconfig.`,
    );
  }
  const [only] = present.length === 1 ? present : named;
  if (only !== undefined) return only;
  const local = join(dataDirOf(io), KUBECONFIG_FILE);
  if (existsSync(local)) return local;
  throw new CommandError(
    `No Stoker was found here: there is no ${local}. Start one with \`npm start\`, set STOKER_DATA_DIR to its data folder, or name a cluster with --kubeconfig.`,
  );
}

async function readConnection(path: string): Promise<Connection> {
  try {
    return await loadConnection({ kubeconfigPath: path });
  } catch (error) {
    throw new CommandError(error instanceof Error ? error.message : String(error));
  }
}

async function send(route: Route, call: ApiCall): Promise<ApiAnswer> {
  const { io, path, connection, transport } = route;
  const result = await transport.send({ ...call, signal: io.signal });
  if (!result.ok) throw new NoAnswerError(renderFailure(result.error, connection.server, path));
  const answer = result.value;
  if (answer.status === 401) {
    throw new NoAnswerError(
      `${connection.server} does not accept the credentials in ${path}. The kubeconfig may be of another cluster, or of a data folder that was removed.`,
    );
  }
  if (answer.status === 404 && !namesObject(answer.body)) {
    throw new CommandError(
      `${connection.server} does not know this kind. Stoker's kinds are not installed in the cluster that ${path} names.`,
    );
  }
  for (const warning of answer.warnings) io.complain(`Warning: ${warning}\n`);
  return answer;
}

function renderFailure(
  error: { readonly reason: string; readonly message: string },
  server: string,
  path: string,
): string {
  switch (error.reason) {
    case 'Unavailable':
      return /certificate/i.test(error.message)
        ? `${server} shows a certificate that ${path} does not trust (${error.message}). The kubeconfig may be of another cluster.`
        : `${server} does not answer (${error.message}). Is Stoker running? The address is from ${path}.`;
    case 'Unauthorized':
      return `${path} cannot be used: ${error.message}`;
    default:
      return `${server}: ${error.message}`;
  }
}

/** A refusal about one object names it; one about an unknown path or kind does not. */
function namesObject(body: unknown): boolean {
  if (typeof body !== 'object' || body === null || !('details' in body)) return false;
  const { details } = body;
  return typeof details === 'object' && details !== null && 'name' in details && details.name !== '';
}
