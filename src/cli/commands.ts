// The commands that people type against a running Stoker. Only reads the command line; each command is a module of its
// own, loaded when it is asked for, since every long-running part reads this file too.
import { type Command, InvalidArgumentError, Option } from 'commander';
import { systemClock } from '../lib/clock.ts';
import type { ChatOptions } from './chat-answer.ts';
import { CommandError, type CommandIo, type OutputFormat } from './io.ts';
import type { ObjectApi } from './object-api.ts';

interface Common {
  readonly output: OutputFormat;
  readonly kubeconfig?: string;
}

/** Opened when a command starts, not when the command line is read. */
export type OpenIo = () => CommandIo;

/** An interrupted command ends as a shell expects it: 128 + SIGINT. */
const INTERRUPTED_EXIT_CODE = 130;

/** Adds every command to the program. Failures are printed as one sentence and set the exit code to 1. */
export function addCommands(program: Command, openIo: OpenIo): void {
  addGet(program, openIo);
  addApply(program, openIo);
  addDelete(program, openIo);
  addExplain(program, openIo);
  addChat(program, openIo);
  addModelAdd(program, openIo);
}

function addGet(program: Command, openIo: OpenIo): void {
  clusterCommand(program, 'get <kind> [name]', 'List pools, models, revisions or pods, or show one.').action(
    guarded(openIo, async (io, kind: string, name: string | undefined, common: Common) => {
      const { getObjects } = await import('./get.ts');
      await withApi(io, common, (api) => getObjects(io, api, { kind, name, output: common.output }));
    }),
  );
}

function addApply(program: Command, openIo: OpenIo): void {
  clusterCommand(program, 'apply', 'Make the objects as files say.')
    .requiredOption('-f, --filename <file...>', 'YAML or JSON files, or folders of them; - reads standard input')
    .action(
      guarded(openIo, async (io, common: Common & { filename: readonly string[] }) => {
        const { applyFiles } = await import('./apply.ts');
        const { readManifestFiles } = await import('./manifest-files.ts');
        const files = readManifestFiles(common.filename);
        await withApi(io, common, (api) => applyFiles(io, api, files, common.output));
      }),
    );
}

function addDelete(program: Command, openIo: OpenIo): void {
  clusterCommand(program, 'delete <kind> <name>', 'Delete an object and wait until it is gone.')
    .option('--timeout <seconds>', 'how long to wait', parseCount, 60)
    .action(
      guarded(openIo, async (io, kind: string, name: string, common: Common & { timeout: number }) => {
        const { deleteObject } = await import('./delete.ts');
        const what = { kind, name, waitSeconds: common.timeout, output: common.output, clock: systemClock };
        await withApi(io, common, (api) => deleteObject(io, api, what));
      }),
    );
}

function addExplain(program: Command, openIo: OpenIo): void {
  const explain = program.command('explain').description('Say why Stoker did what it did.');
  explain
    .command('scale <model>')
    .description('The last scaling decision about a model, with every figure behind it.')
    .addOption(outputOption())
    .action(
      guarded(openIo, async (io, model: string, common: Common) => {
        const { explainScale } = await import('./explain.ts');
        await explainScale(io, model, common.output);
      }),
    );
}

interface ChatFlags extends Common {
  readonly url?: string;
  readonly maxTokens?: number;
}

function addChat(program: Command, openIo: OpenIo): void {
  program
    .command('chat <model> [prompt...]')
    .description('Talk to a model in the terminal, or ask one question. A prompt may also come from a pipe.')
    .option('--url <address>', 'address of the OpenAI API (STOKER_URL, default the Stoker of this folder)')
    .option('--max-tokens <count>', 'longest answer in tokens', parseCount)
    .addOption(outputOption())
    .addHelpText('after', '\nSTOKER_API_KEY holds the key, where the API wants one.')
    .action(
      guarded(openIo, async (io, model: string, words: readonly string[], flags: ChatFlags) => {
        const { chatLoop, chatOnce, readPrompt } = await import('./chat.ts');
        const options = await chatOptions(io, model, flags);
        if (words.length > 0) await chatOnce(io, options, words.join(' '));
        else if (process.stdin.isTTY !== true) await chatOnce(io, options, await readPrompt(process.stdin));
        else if (flags.output === 'json')
          throw new CommandError('JSON output needs a prompt: stoker chat MODEL PROMPT');
        else await chatLoop(io, options, { input: process.stdin, output: process.stderr });
      }),
    );
}

async function chatOptions(io: CommandIo, model: string, flags: ChatFlags): Promise<ChatOptions> {
  const { readLocalAddresses } = await import('./local-addresses.ts');
  const url = flags.url ?? io.environment.STOKER_URL ?? readLocalAddresses(io).openai;
  if (url === undefined)
    throw new CommandError('The router was started apart: name its address with --url or STOKER_URL.');
  return {
    // The official clients take the address with /v1, so people paste it like that.
    url: url.replace(/\/+$/, '').replace(/\/v1$/, ''),
    model,
    apiKey: io.environment.STOKER_API_KEY,
    maxTokens: flags.maxTokens,
    output: flags.output,
  };
}

interface ModelAddFlags extends Common {
  readonly servedName?: string;
  readonly contextLength?: number;
  readonly pool: string;
  readonly timeout: number;
}

function addModelAdd(program: Command, openIo: OpenIo): void {
  const model = program.command('model').description('Models of this machine.');
  clusterCommand(model, 'add <name> <file>', 'Serve a GGUF file.')
    .option('--served-name <name>', 'the name that callers use (default: the name)')
    .option('--context-length <tokens>', 'tokens of prompt and answer together', parseCount)
    .option('--pool <pool>', 'the pool it runs in', 'default')
    .option('--timeout <seconds>', 'how long to wait for the weights to be read', parseCount, 600)
    .action(
      guarded(openIo, async (io, name: string, file: string, flags: ModelAddFlags) => {
        const { addModel } = await import('./model-add.ts');
        const { servedName, contextLength, pool, timeout, output } = flags;
        const what = { name, file, servedName, contextLength, pool, waitSeconds: timeout, output, clock: systemClock };
        await withApi(io, flags, (api) => addModel(io, api, what));
      }),
    );
}

function clusterCommand(parent: Command, usage: string, description: string): Command {
  return parent
    .command(usage)
    .description(description)
    .option('--kubeconfig <file>', 'kubeconfig (KUBECONFIG, default the Stoker of this folder)')
    .addOption(outputOption());
}

function outputOption(): Option {
  return new Option('-o, --output <format>', 'table for people, json for programs')
    .choices(['table', 'json'])
    .default('table');
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1) throw new InvalidArgumentError('It must be a whole number from 1.');
  return count;
}

async function withApi(io: CommandIo, common: Common, run: (api: ObjectApi) => Promise<void>): Promise<void> {
  const { connectApi } = await import('./connect.ts');
  const api = await connectApi(io, common.kubeconfig);
  try {
    await run(api);
  } finally {
    await api.close();
  }
}

/** Prints what a command refuses as one sentence instead of a stack, and says nothing when it was interrupted. */
function guarded<Args extends unknown[]>(openIo: OpenIo, run: (io: CommandIo, ...args: Args) => Promise<void>) {
  return async (...args: Args): Promise<void> => {
    const io = openIo();
    try {
      await run(io, ...args);
    } catch (error) {
      if (io.signal.aborted) {
        io.exitWith(INTERRUPTED_EXIT_CODE);
        return;
      }
      if (!(error instanceof CommandError)) throw error;
      io.complain(`stoker: ${error.message}\n`);
      io.exitWith(1);
    }
  };
}
