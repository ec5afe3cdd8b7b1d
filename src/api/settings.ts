// Process settings: every flag and STOKER_* variable in one table (DESIGN §14.6). Objects are the product's
// configuration; these only say where a process listens and finds its files, and need a restart to change.
import { z } from 'zod';
import { parseJson } from '../lib/json-text.ts';

export type ProcessName = 'up' | 'controller' | 'router' | 'agent';

interface Setting {
  readonly flag: string;
  readonly variable: string;
  readonly schema: z.ZodType;
  /** Shown in help; a function of the process when defaults differ. */
  readonly fallback?: string | Readonly<Partial<Record<ProcessName, string>>>;
  /** The flag takes no value. */
  readonly isSwitch?: boolean;
  readonly processes: readonly ProcessName[];
  readonly description: string;
}

const wholeNumber = (min: number, max: number) => {
  const sentence = `it must be a whole number from ${min} to ${max}`;
  return z.coerce.number(sentence).int(sentence).min(min, sentence).max(max, sentence);
};
const port = wholeNumber(0, 65_535);
const text = z.string().min(1).max(4096);
const label = '[A-Za-z0-9][-A-Za-z0-9_./]{0,316}=[-A-Za-z0-9_.]{0,63}';
const labelList = new RegExp(`^${label}(,${label}){0,15}$`);
const peer = z
  .strictObject({
    podSelector: z.looseObject({}).optional(),
    namespaceSelector: z.looseObject({}).optional(),
    ipBlock: z.strictObject({ cidr: z.string(), except: z.array(z.string()).optional() }).optional(),
  })
  .refine((one) => Object.keys(one).length > 0);
const peers = z.array(peer).max(32);
/** Peers of a NetworkPolicy as JSON. */
const peerList = z
  .string()
  .max(16_384)
  .transform((text, context) => {
    const read = peers.safeParse(parseJson(text));
    if (read.success) return read.data;
    const message =
      'it must be the JSON of a list of peers, each with podSelector, namespaceSelector or ipBlock, as in a NetworkPolicy';
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  });
/** Ports with commas between them. */
const portList = z
  .string()
  .regex(/^[1-9][0-9]{0,4}(,[1-9][0-9]{0,4}){0,7}$/, 'it must be ports with commas between them')
  .transform((text) => text.split(',').map(Number))
  .refine((ports) => ports.every((one) => one <= 65_535), 'it must be ports of at most 65535');
const toggle = z.union([z.boolean(), z.stringbool()]);

export const settingTable = {
  dataDir: {
    flag: 'data-dir',
    variable: 'STOKER_DATA_DIR',
    schema: text,
    fallback: '.stoker',
    processes: ['up', 'agent'],
    description: 'Folder for everything that is kept.',
  },
  clusterOnly: {
    flag: 'cluster-only',
    variable: 'STOKER_CLUSTER_ONLY',
    schema: toggle,
    isSwitch: true,
    processes: ['up'],
    description: 'Run only the Kubernetes API and the node. The controller and the router are started apart.',
  },
  host: {
    flag: 'host',
    variable: 'STOKER_HOST',
    schema: text,
    fallback: '127.0.0.1',
    processes: ['up', 'router'],
    description: 'Address that the OpenAI API listens on.',
  },
  port: {
    flag: 'port',
    variable: 'STOKER_PORT',
    schema: port,
    fallback: '8080',
    processes: ['up', 'router'],
    description: 'Port of the OpenAI API. 0 picks a free one.',
  },
  adminPort: {
    flag: 'admin-port',
    variable: 'STOKER_ADMIN_PORT',
    schema: port,
    fallback: { up: '8081', router: '8081', controller: '8081', agent: '8001' },
    processes: ['up', 'router', 'controller', 'agent'],
    description: 'Port of health, metrics and the status page. 0 picks a free one.',
  },
  adminHost: {
    flag: 'admin-host',
    variable: 'STOKER_ADMIN_HOST',
    schema: text,
    fallback: '127.0.0.1',
    processes: ['router', 'controller'],
    description:
      'Address that the administration port listens on. Beyond loopback the router answers only health and metrics there.',
  },
  apiPort: {
    flag: 'api-port',
    variable: 'STOKER_API_PORT',
    schema: port,
    fallback: '8082',
    processes: ['up'],
    description: 'Port of the embedded Kubernetes API. 0 picks a free one.',
  },
  linkPort: {
    flag: 'link-port',
    variable: 'STOKER_LINK_PORT',
    schema: port,
    fallback: '8083',
    processes: ['up', 'controller'],
    description: 'Port on which routers and agents reach the controller. 0 picks a free one.',
  },
  linkHost: {
    flag: 'link-host',
    variable: 'STOKER_LINK_HOST',
    schema: text,
    fallback: '127.0.0.1',
    processes: ['controller'],
    description:
      'Address that the link listens on. Beyond loopback it speaks TLS with a certificate of its own authority, which it keeps in the Secret stoker-link-tls.',
  },
  podName: {
    flag: 'pod-name',
    variable: 'STOKER_POD_NAME',
    schema: text,
    processes: ['controller'],
    description: 'Name of the Pod that the process runs in. Needed when the link listens beyond loopback.',
  },
  podIp: {
    flag: 'pod-ip',
    variable: 'STOKER_POD_IP',
    schema: z.union([z.ipv4('it must be an IP address'), z.ipv6('it must be an IP address')]),
    processes: ['controller'],
    description:
      'Address of the Pod that the process runs in: where the Service stoker-link leads while it leads. Needed when the link listens beyond loopback.',
  },
  slotImage: {
    flag: 'slot-image',
    variable: 'STOKER_SLOT_IMAGE',
    schema: z.string().min(1).max(512),
    processes: ['controller'],
    description:
      'Image that slots run, on a cluster. It has the agent and the built-in engine. Unset: the slots of one machine, which need none.',
  },
  slotPullPolicy: {
    flag: 'slot-pull-policy',
    variable: 'STOKER_SLOT_PULL_POLICY',
    schema: z.enum(['Always', 'IfNotPresent', 'Never'], 'it must be Always, IfNotPresent or Never'),
    fallback: 'IfNotPresent',
    processes: ['controller'],
    description: 'When nodes pull the image of slots.',
  },
  slotPullSecrets: {
    flag: 'slot-pull-secrets',
    variable: 'STOKER_SLOT_PULL_SECRETS',
    schema: z
      .string()
      .max(2048)
      .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(,[a-z0-9]([-a-z0-9.]*[a-z0-9])?)*$/, 'it must be names with commas'),
    processes: ['controller'],
    description: 'Names of the Secrets that nodes pull the image of slots with, with commas between them.',
  },
  releaseLabels: {
    flag: 'release-labels',
    variable: 'STOKER_RELEASE_LABELS',
    schema: z.string().max(1024).regex(labelList, 'it must be labels as KEY=VALUE with commas between them'),
    processes: ['controller'],
    description:
      'Labels of the Pods of this release, as KEY=VALUE with commas between them. With them and an image for slots, each Pool gets a NetworkPolicy: requests come from the routers of the release alone, and slots reach only its controller and the names of --dns-to. Unset: no policy, and one that the controller made before is deleted.',
  },
  dnsTo: {
    flag: 'dns-to',
    variable: 'STOKER_DNS_TO',
    schema: peerList,
    fallback: '[{"namespaceSelector":{}}]',
    processes: ['controller'],
    description:
      'Where slots may ask for names, as the JSON of a list of peers of a NetworkPolicy. An empty list is anywhere. Used for the NetworkPolicies of Pools alone.',
  },
  dnsPorts: {
    flag: 'dns-ports',
    variable: 'STOKER_DNS_PORTS',
    schema: portList,
    fallback: '53',
    processes: ['controller'],
    description:
      'Ports on which the Pods behind --dns-to are asked for names, with commas between them. Used for the NetworkPolicies of Pools alone.',
  },
  bindHost: {
    flag: 'bind-host',
    variable: 'STOKER_BIND_HOST',
    schema: text,
    fallback: '0.0.0.0',
    processes: ['agent'],
    description: 'Address that the data path listens on.',
  },
  dataPort: {
    flag: 'data-port',
    variable: 'STOKER_DATA_PORT',
    schema: port,
    fallback: '8000',
    processes: ['agent'],
    description: 'Port of the data path. 0 picks a free one.',
  },
  apiKeysFile: {
    flag: 'api-keys-file',
    variable: 'STOKER_API_KEYS_FILE',
    schema: text,
    processes: ['up', 'router'],
    description:
      'File with the API keys that callers may use, one on each line, or `tenant: key`. It is read again when it changes.',
  },
  drainSeconds: {
    flag: 'drain-seconds',
    variable: 'STOKER_DRAIN_SECONDS',
    schema: wholeNumber(0, 3600),
    fallback: '8',
    processes: ['router'],
    description:
      'How long running answers may go on once the router is asked to stop. Then they are cut truthfully. It stops sooner when none runs.',
  },
  kubeconfig: {
    flag: 'kubeconfig',
    variable: 'STOKER_KUBECONFIG',
    schema: text,
    processes: ['controller'],
    description: 'Kubeconfig of the cluster. Unset: the cluster that the process runs in.',
  },
  namespace: {
    flag: 'namespace',
    variable: 'STOKER_NAMESPACE',
    schema: text,
    fallback: 'default',
    processes: ['controller'],
    description: 'Namespace of the objects.',
  },
  leaseHolder: {
    flag: 'lease-holder',
    variable: 'STOKER_LEASE_HOLDER',
    schema: z.string().regex(/^[A-Za-z0-9]([-A-Za-z0-9._]{0,251}[A-Za-z0-9])?$/, 'it must be a name'),
    processes: ['controller'],
    description:
      'Name under which the controller leads. A new one of that name takes over at once, so give each replica its own. Unset: host name and a random part.',
  },
  slotKeyRotationSeconds: {
    flag: 'slot-key-rotation-seconds',
    variable: 'STOKER_SLOT_KEY_ROTATION_SECONDS',
    schema: wholeNumber(60, 31_536_000),
    fallback: '86400',
    processes: ['controller'],
    description:
      'How long the keys that routers show to slots are used. Then slots move to new ones, one after the other, and no request is refused.',
  },
  linkUrl: {
    flag: 'link-url',
    variable: 'STOKER_LINK_URL',
    schema: text,
    processes: ['router', 'agent', 'controller'],
    description:
      'Address of the link, for example ws://127.0.0.1:8083. For the controller: the address it tells its slots.',
  },
  linkTokenFile: {
    flag: 'link-token-file',
    variable: 'STOKER_LINK_TOKEN_FILE',
    schema: text,
    processes: ['router', 'agent'],
    description: 'File with the token for the link. It is read again at every dial.',
  },
  linkCaFile: {
    flag: 'link-ca-file',
    variable: 'STOKER_LINK_CA_FILE',
    schema: text,
    processes: ['router', 'agent'],
    description:
      'File with the certificates of the authority of the link, for addresses with wss. It is read again at every dial.',
  },
  adminTokenFile: {
    flag: 'admin-token-file',
    variable: 'STOKER_ADMIN_TOKEN_FILE',
    schema: text,
    processes: ['controller'],
    description: 'File with the token that `stoker explain` must show. It is made when it does not exist.',
  },
  localWeightsFolder: {
    flag: 'local-weights-folder',
    variable: 'STOKER_LOCAL_WEIGHTS_FOLDER',
    schema: text,
    processes: ['controller'],
    description:
      'Folder of this machine for downloaded weights, which every slot can read. Unset: the volume that each Pool names.',
  },
  allowHostPath: {
    flag: 'allow-host-path',
    variable: 'STOKER_ALLOW_HOST_PATH',
    schema: toggle,
    isSwitch: true,
    processes: ['controller'],
    description:
      'Let Pools keep downloaded weights, and what engines compile, in folders of the node (spec.weights.hostPath, spec.compileCache.hostPath). Whoever may write a Pool then chooses which folders of the nodes slots read, and which stagers and engines write to.',
  },
  compileCacheDir: {
    flag: 'compile-cache-dir',
    variable: 'STOKER_COMPILE_CACHE_DIR',
    schema: text,
    processes: ['agent'],
    description:
      'Folder for what Vllm, Sglang and LlamaServer compile: -user- and the number of the user are added to it, and below it there is one for each revision. Slots of their images have one. Unset: where each engine keeps it by itself.',
  },
  engineThreads: {
    flag: 'engine-threads',
    variable: 'STOKER_ENGINE_THREADS',
    schema: wholeNumber(1, 256),
    fallback: '1',
    processes: ['up', 'agent'],
    description: 'Threads of the built-in engine. More than the free cores makes it slower.',
  },
  allowCommands: {
    flag: 'allow-commands',
    variable: 'STOKER_ALLOW_COMMANDS',
    schema: toggle,
    isSwitch: true,
    processes: ['up', 'controller'],
    description:
      'Let the one machine run more than Stoker itself: any command that a Pod names, and the engines Vllm, Sglang and LlamaServer as they are installed there.',
  },
  logLevel: {
    flag: 'log-level',
    variable: 'STOKER_LOG_LEVEL',
    schema: z.enum(['debug', 'info', 'warn', 'error', 'silent']),
    fallback: 'info',
    processes: ['up', 'controller', 'router', 'agent'],
    description: 'How much is logged.',
  },
} as const satisfies Record<string, Setting>;

export type SettingKey = keyof typeof settingTable;
type ValueOf<Key extends SettingKey> = z.infer<(typeof settingTable)[Key]['schema']>;
export type Settings = { readonly [Key in SettingKey]: ValueOf<Key> | undefined };

export class SettingError extends Error {
  override readonly name = 'SettingError';
}

/** Reads the settings of one process: the flag goes first, then the variable, then the default. Throws SettingError with a sentence. */
export function parseSettings(
  process: ProcessName,
  flags: Readonly<Record<string, unknown>>,
  variables: Readonly<Record<string, string | undefined>>,
): Settings {
  const settings: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries(settingTable) as [SettingKey, Setting][]) {
    if (!setting.processes.includes(process)) continue;
    const flag = flags[key];
    const raw = flag ?? (variables[setting.variable] || undefined) ?? defaultOf(setting, process);
    if (raw === undefined) continue;
    const parsed = setting.schema.safeParse(raw);
    if (!parsed.success) {
      const source = flag === undefined ? setting.variable : `--${setting.flag}`;
      const why = parsed.error.issues[0]?.message ?? 'it is not valid';
      throw new SettingError(`${source} cannot be ${JSON.stringify(raw)}: ${why}. ${setting.description}`);
    }
    settings[key] = parsed.data;
  }
  return settings as Settings;
}

/** The default of a setting for one process, as text; undefined when it has none. */
export function defaultOf(setting: Setting, process: ProcessName): string | undefined {
  return typeof setting.fallback === 'string' ? setting.fallback : setting.fallback?.[process];
}

/** The settings that a process takes, in table order, for help and docs. */
export function settingsOf(process: ProcessName): readonly (readonly [SettingKey, Setting])[] {
  return (Object.entries(settingTable) as [SettingKey, Setting][]).filter(([, setting]) =>
    setting.processes.includes(process),
  );
}
