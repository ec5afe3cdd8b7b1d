// What `stoker up` prints once everything listens: addresses, models, and a line to paste. Text only; decides nothing.
import type { ApiKeysChoice } from './api-keys-file.ts';

export interface ModelLine {
  readonly name: string;
  readonly servedName: string;
  readonly rung: string;
}

/** The controller's own default is the router's, which may run on the same machine. */
const CONTROLLER_ADMIN_PORT = 8084;

interface ScreenFacts {
  readonly openai: string;
  readonly status: string;
  readonly kubernetes: string;
  readonly models: readonly ModelLine[];
  readonly dataDir: string;
  readonly keys: ApiKeysChoice;
  /** Whether requests can be served already. */
  readonly isReady: boolean;
  readonly startMs: number;
}

export function renderScreen(facts: ScreenFacts): string {
  const { openai, status, kubernetes, models, dataDir, keys, isReady, startMs } = facts;
  const served = models[0]?.servedName;
  const lines = [
    '',
    `Stoker is up (${(startMs / 1000).toFixed(1)} s).`,
    '',
    `  OpenAI API       ${openai}/v1`,
    `  Status and chat  ${status}/`,
    ...renderPlaces(kubernetes, dataDir),
    ...renderKey(keys),
    '',
    ...renderModels(models),
    '',
    ...(served === undefined
      ? ['Add a model:  npx stoker model add NAME ./file.gguf']
      : pasteLines(openai, served, keys)),
    ...(isReady
      ? []
      : [
          '',
          `The router has heard nothing from the controller yet and refuses requests until then: see ${dataDir}/logs/.`,
        ]),
    '',
    'Ctrl-C stops everything.',
    '',
  ];
  return `${lines.join('\n')}\n`;
}

interface ClusterFacts {
  readonly kubernetes: string;
  readonly models: readonly ModelLine[];
  readonly dataDir: string;
  readonly linkPort: number;
  /** Where the parts find what they show at each other's doors. */
  secretFile(name: string): string;
  readonly startMs: number;
}

/** What `stoker up --cluster-only` prints: what there is, and how the other parts are started. */
export function renderClusterScreen({
  kubernetes,
  models,
  dataDir,
  linkPort,
  secretFile,
  startMs,
}: ClusterFacts): string {
  const controllerFlags = [
    ...['--kubeconfig', secretFile('controller.kubeconfig')],
    ...['--admin-token-file', secretFile('controller-admin-token')],
    ...['--link-port', linkPort, '--admin-port', CONTROLLER_ADMIN_PORT],
  ];
  const routerFlags = ['--link-url', `ws://127.0.0.1:${linkPort}`, '--link-token-file', secretFile('router-token')];
  const lines = [
    '',
    `The cluster of Stoker is up (${(startMs / 1000).toFixed(1)} s), without a controller and a router.`,
    '',
    ...renderPlaces(kubernetes, dataDir),
    '',
    ...renderModels(models),
    '',
    'Start the other parts when you like, each in a terminal of its own:',
    '',
    `  npx stoker controller ${controllerFlags.join(' ')}`,
    `  npx stoker router ${routerFlags.join(' ')}`,
    '',
    'Ctrl-C stops everything that was started here.',
    '',
  ];
  return `${lines.join('\n')}\n`;
}

function renderPlaces(kubernetes: string, dataDir: string): string[] {
  return [
    `  Kubernetes API   ${kubernetes}   (export KUBECONFIG=${dataDir}/kubeconfig; kubectl get models,pods)`,
    `  Logs             ${dataDir}/logs/`,
  ];
}

function renderModels(models: readonly ModelLine[]): string[] {
  if (models.length === 0) return ['  There is no model yet.'];
  const width = Math.max(5, ...models.map((model) => model.name.length));
  return [`  ${'MODEL'.padEnd(width)}  RUNG`, ...models.map((model) => `  ${model.name.padEnd(width)}  ${model.rung}`)];
}

function renderKey({ file, madeKey }: ApiKeysChoice): string[] {
  if (file === undefined) return [];
  return madeKey === undefined
    ? [`  API keys         callers need one of those in ${file}`]
    : [`  API key          ${madeKey}   (shown this once; kept in ${file})`];
}

function pasteLines(openai: string, served: string, keys: ApiKeysChoice): string[] {
  const body = JSON.stringify({
    model: served,
    stream: true,
    messages: [{ role: 'user', content: 'What is a load balancer?' }],
  });
  const key = keys.file === undefined ? '' : ` -H 'authorization: Bearer ${keys.madeKey ?? 'KEY'}'`;
  return [
    'No model is awake until somebody asks. This request is held, says so, and wakes one:',
    '',
    `  curl -N ${openai}/v1/chat/completions -H 'content-type: application/json'${key} -d '${body}'`,
  ];
}
