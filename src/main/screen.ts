// What `stoker up` prints once everything listens: addresses, models, and a line to paste. Text only; decides nothing.
import type { Addresses } from '../api/addresses.ts';
import type { ApiKeysChoice } from './api-keys-file.ts';

export interface ModelLine {
  readonly name: string;
  readonly servedName: string;
  readonly rung: string;
}

export interface ScreenFacts {
  readonly addresses: Addresses;
  readonly models: readonly ModelLine[];
  readonly dataDir: string;
  readonly keys: ApiKeysChoice;
  /** Whether requests can be served already. */
  readonly isReady: boolean;
  readonly startMs: number;
}

export function renderScreen({ addresses, models, dataDir, keys, isReady, startMs }: ScreenFacts): string {
  const served = models[0]?.servedName;
  const lines = [
    '',
    `Stoker is up (${(startMs / 1000).toFixed(1)} s).`,
    '',
    `  OpenAI API       ${addresses.openai}/v1`,
    `  Status and chat  ${addresses.status}/`,
    `  Kubernetes API   ${addresses.kubernetes}   (export KUBECONFIG=${dataDir}/kubeconfig; kubectl get models,pods)`,
    `  Logs             ${dataDir}/logs/`,
    ...renderKey(keys),
    '',
    ...renderModels(models),
    '',
    ...(served === undefined
      ? ['Add a model:  npx stoker model add NAME ./file.gguf']
      : pasteLines(addresses.openai, served, keys)),
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
