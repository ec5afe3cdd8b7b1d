// Reads a kubeconfig with plain credentials: token, token file, client certificate, name and password. Says so when it
// needs a credential plugin, which is left to the foreign client. Never guesses: what it cannot honour is an error.
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';

export interface TlsMaterial {
  /** PEM texts. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  /** False only where the kubeconfig says insecure-skip-tls-verify. */
  readonly rejectUnauthorized?: boolean;
}

export interface PlainKubeconfig {
  readonly kind: 'plain';
  readonly server: string;
  readonly namespace?: string;
  readonly tls: TlsMaterial;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly basic?: string;
}

/** The credentials come from a program or a foreign provider. */
export interface PluginKubeconfig {
  readonly kind: 'plugin';
}

const text = z.string().min(1);
const clusterSchema = z.looseObject({
  server: text,
  'certificate-authority': text.optional(),
  'certificate-authority-data': text.optional(),
  'insecure-skip-tls-verify': z.boolean().optional(),
  'tls-server-name': text.optional(),
  'proxy-url': z.string().optional(),
});
const userSchema = z.looseObject({
  token: text.optional(),
  tokenFile: text.optional(),
  'client-certificate': text.optional(),
  'client-certificate-data': text.optional(),
  'client-key': text.optional(),
  'client-key-data': text.optional(),
  username: text.optional(),
  password: z.string().optional(),
});
const fileSchema = z.looseObject({
  'current-context': z.string().optional(),
  clusters: z.array(z.object({ name: text, cluster: clusterSchema })).min(1),
  users: z.array(z.object({ name: text, user: userSchema.nullish() })).default([]),
  contexts: z.array(
    z.object({
      name: text,
      context: z.looseObject({ cluster: text, user: z.string().optional(), namespace: text.optional() }),
    }),
  ),
});
type File = z.infer<typeof fileSchema>;
type User = z.infer<typeof userSchema>;

/** Rejects with a sentence that names the file. */
export async function readKubeconfig(path: string): Promise<PlainKubeconfig | PluginKubeconfig> {
  try {
    return await interpret(parseFile(await readFile(path, 'utf8')), dirname(resolve(path)));
  } catch (error) {
    throw new Error(`The kubeconfig ${path} cannot be used: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function parseFile(content: string): File {
  const parsed = fileSchema.safeParse(parse(content));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Error(`${issue?.path.join('.') || 'the file'}: ${issue?.message ?? 'it is not a kubeconfig'}`);
}

async function interpret(file: File, folder: string): Promise<PlainKubeconfig | PluginKubeconfig> {
  const context = file.contexts.find(({ name }) => name === file['current-context'])?.context;
  if (context === undefined)
    throw new Error(`its current-context "${file['current-context'] ?? ''}" is not among its contexts`);
  const cluster = file.clusters.find(({ name }) => name === context.cluster)?.cluster;
  if (cluster === undefined) throw new Error(`it has no cluster "${context.cluster}"`);
  const user = file.users.find(({ name }) => name === context.user)?.user ?? {};
  if (cluster['proxy-url']) throw new Error('proxy-url is not supported');
  if (Object.keys(user).some((key) => key === 'as' || key.startsWith('as-')))
    throw new Error('impersonation (as) is not supported');
  if ('exec' in user || 'auth-provider' in user) return { kind: 'plugin' };
  const namespace = context.namespace === undefined ? {} : { namespace: context.namespace };
  return {
    kind: 'plain',
    server: cluster.server,
    ...namespace,
    tls: await readTls(cluster, user, folder),
    ...credentials(user, folder),
  };
}

async function readTls(cluster: z.infer<typeof clusterSchema>, user: User, folder: string): Promise<TlsMaterial> {
  const [ca, cert, key] = await Promise.all([
    pem(cluster['certificate-authority-data'], cluster['certificate-authority'], folder),
    pem(user['client-certificate-data'], user['client-certificate'], folder),
    pem(user['client-key-data'], user['client-key'], folder),
  ]);
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(cluster['tls-server-name'] === undefined ? {} : { servername: cluster['tls-server-name'] }),
    ...(cluster['insecure-skip-tls-verify'] === true ? { rejectUnauthorized: false } : {}),
  };
}

/** Inlined data goes before a file, as kubectl has it. Relative paths start at the kubeconfig's folder. */
async function pem(data: string | undefined, path: string | undefined, folder: string): Promise<string | undefined> {
  if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8');
  return path === undefined ? undefined : readFile(resolve(folder, path), 'utf8');
}

function credentials(user: User, folder: string): Pick<PlainKubeconfig, 'token' | 'tokenFile' | 'basic'> {
  if (user.tokenFile !== undefined) return { tokenFile: resolve(folder, user.tokenFile) };
  if (user.token !== undefined) return { token: user.token };
  if (user.username === undefined) return {};
  return { basic: Buffer.from(`${user.username}:${user.password ?? ''}`).toString('base64') };
}
