// The commands that people type against a running Stoker. Only reads the command line; each command is a module of its
// own, loaded when it is asked for, since every long-running part reads this file too.
import { type Command, InvalidArgumentError, Option } from 'commander';
import { systemClock } from '../lib/clock.ts';
import { describeFaults } from '../sim/faults.ts';
import type { ChatOptions } from './chat-answer.ts';
import { CommandError, type CommandIo, type OutputFormat } from './io.ts';
import type { ObjectApi } from './object-api.ts';
import type { SimulateOptions } from './simulate.ts';

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
  addSimulate(program, openIo);
  addDoctor(program, openIo);
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

function addDoctor(program: Command, openIo: OpenIo): void {
  clusterCommand(program, 'doctor', 'Look at a cluster, or at the Stoker of this folder, and say what to fix.')
    .option('-n, --namespace <name>', 'namespace of the release (default that of the kubeconfig)')
    .addHelpText('after', '\nIt changes nothing. The exit code is 1 when something fails.')
    .action(
      guarded(openIo, async (io, common: Common & { namespace?: string }) => {
        const { examine } = await import('./doctor/doctor.ts');
        const { output } = common;
        await withApi(io, common, (api) => {
          const { namespace = api.namespace } = common;
          return examine(io, { ...api, namespace }, { output, clock: systemClock });
        });
      }),
    );
}

interface SimulateFlags {
  readonly trace?: string;
  readonly load?: 'step' | 'spikes' | 'diurnal' | 'zipf';
  readonly rate: number;
  readonly models?: number;
  readonly hours: number;
  readonly times: number;
  readonly policy: string;
  readonly goal?: number;
  readonly profile: 'Size7B' | 'Size13B' | 'Size70B';
  readonly firstToken: number;
  readonly headroom?: 'economy' | 'standard' | 'strict';
  readonly sleepAfter?: number;
  readonly minAwake: number;
  readonly concurrency: number;
  readonly maxAwake?: number;
  readonly slots: number;
  readonly slotsPerNode: number;
  readonly sleepersPerSlot: number;
  readonly sleeperBytes?: number;
  readonly cold?: boolean;
  readonly occupied?: boolean;
  readonly wake?: number;
  readonly start?: number;
  readonly spread?: number;
  readonly seed: number;
  readonly faults?: string;
  readonly html?: string;
  readonly json?: boolean;
  readonly output: OutputFormat;
}

function addSimulate(program: Command, openIo: OpenIo): void {
  const command = program
    .command('simulate')
    .description('Run scaling policies on a trace or a generated load, before buying hardware for it.');
  addLoadOptions(command);
  addFleetOptions(command);
  command
    .option('--faults <list>', 'what goes wrong, by chance: wakeFails=0.005,nodeLoss=1/h (the list is below)')
    .addHelpText('after', `\nWhat --faults may name, separated by commas:\n${describeFaults()}`)
    .option('--html <file>', 'write a page with plots')
    .option('--json', 'the same as --output json')
    .addOption(outputOption())
    .action(
      guarded(openIo, async (io, flags: SimulateFlags) => {
        const { simulate } = await import('./simulate.ts');
        await simulate(io, readSimulateFlags(flags));
      }),
    );
}

function addLoadOptions(command: Command): void {
  command
    .addOption(
      new Option(
        '--trace <file>',
        'requests in the Azure, the Mooncake or the timestamp,prompt,output format',
      ).conflicts(['rate', 'models', 'hours']),
    )
    .addOption(new Option('--load <name>', 'a generated load').choices(['step', 'spikes', 'diurnal', 'zipf']))
    .option('--rate <requests>', 'requests a second of a generated load, on average', parsePositive, 4)
    .option('--models <count>', 'models of the load zipf (default: 20)', parseCount)
    .option('--hours <hours>', 'length of a generated load', parsePositive, 1)
    .option('--times <count>', 'every request so many times', parseCount, 1)
    .option('--policy <names>', 'policies, separated by commas; static is the smallest fixed fleet', 'stoker,static')
    .option('--goal <percent>', 'requests that the fleet of static must serve in time (default: 99)', parsePercent)
    .option('--seed <number>', 'seed of chance', parseCount, 1);
}

function addFleetOptions(command: Command): void {
  command
    .addOption(
      new Option('--profile <size>', 'size of the models').choices(['Size7B', 'Size13B', 'Size70B']).default('Size70B'),
    )
    .option('--first-token <seconds>', 'time in which the first token is due', parsePositive, 5)
    .addOption(
      new Option('--headroom <class>', 'what stays awake for rare bursts (default: standard)').choices([
        'economy',
        'standard',
        'strict',
      ]),
    )
    .option(
      '--sleep-after <seconds>',
      'time without requests until a model sleeps; a Model has 300 (default: 30, and what was needed lately stays longer)',
      parseSleepAfter,
    )
    .option('--concurrency <count>', 'requests that one instance serves at once', parseCount, 8)
    .option('--min-awake <count>', 'instances of a model that never sleep', parseWhole, 0)
    .option('--max-awake <count>', 'instances of a model at most (default: one for each slot)', parseCount)
    .option('--slots <count>', 'slots of the fleet', parseCount, 40)
    .option('--slots-per-node <count>', 'slots that share the rate of one node', parseCount, 1)
    .option('--sleepers-per-slot <count>', 'instances that may be asleep in one slot', parseWhole, 8)
    .option(
      '--sleeper-bytes <bytes>',
      'host memory of one slot for those that are asleep or will be (default: only their number is bounded)',
      parseCount,
    )
    .option('--wake <seconds>', 'time from asleep to awake (default: that of the size)', parsePositive)
    .option('--start <seconds>', 'time from weights on the node to awake (default: that of the size)', parsePositive)
    .option('--spread <sigma>', 'spread of these times (default: that of the size)', parseShare)
    .option('--cold', 'nothing is asleep at the beginning')
    .option('--occupied', 'every slot holds an idle model that has to make room');
}

function readSimulateFlags(flags: SimulateFlags): SimulateOptions {
  const {
    trace,
    load,
    models,
    hours,
    times,
    goal,
    profile,
    concurrency,
    minAwake,
    maxAwake,
    slots,
    slotsPerNode,
    seed,
    html,
    faults,
  } = flags;
  const ms = (seconds: number | undefined) => (seconds === undefined ? undefined : seconds * 1000);
  return withoutMissing({
    ...{ trace, load, models, hours, times, profile, concurrency, minAwake, maxAwake, slots, slotsPerNode, seed },
    ...{ html, faults },
    ratePerSecond: flags.rate,
    policies: flags.policy,
    goal: goal === undefined ? undefined : goal / 100,
    firstTokenMsMax: flags.firstToken * 1000,
    headroom: flags.headroom,
    sleepAfterMs: ms(flags.sleepAfter),
    sleepersPerSlotMax: flags.sleepersPerSlot,
    sleeperBytes: flags.sleeperBytes,
    isCold: flags.cold === true || flags.sleepersPerSlot === 0,
    isOccupied: flags.occupied === true,
    wakeMs: ms(flags.wake),
    startMs: ms(flags.start),
    sigma: flags.spread,
    output: flags.json === true ? ('json' as const) : flags.output,
  });
}

type WithoutMissing<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** Options that were not given are not there, rather than undefined. */
function withoutMissing<T extends object>(options: T): WithoutMissing<T> {
  // Object.fromEntries forgets the names of what it was given.
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as WithoutMissing<T>;
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

function parseNumber(text: string, isGood: (number: number) => boolean, what: string): number {
  const number = text.trim() === '' ? Number.NaN : Number(text);
  if (!Number.isFinite(number) || !isGood(number)) throw new InvalidArgumentError(`It must be ${what}.`);
  return number;
}

const parseWhole = (text: string) =>
  parseNumber(text, (number) => Number.isSafeInteger(number) && number >= 0, 'a whole number from 0');
const parsePositive = (text: string) => parseNumber(text, (number) => number > 0 && number <= 1e6, 'a number above 0');
const parsePercent = (text: string) =>
  parseNumber(text, (number) => number > 0 && number <= 100, 'above 0, at most 100');
/** The bounds of Model.spec.scaling.sleepAfterSeconds. */
const parseSleepAfter = (text: string) =>
  parseNumber(text, (number) => Number.isInteger(number) && number >= 1 && number <= 86_400, 'from 1 to 86400');
const parseShare = (text: string) => parseNumber(text, (number) => number >= 0 && number <= 2, 'from 0 to 2');

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
