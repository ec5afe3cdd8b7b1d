#!/usr/bin/env node
// The one entry point. Reads the command line, starts the asked part or runs the asked command, and sets the exit code.
import { Command, InvalidArgumentError } from 'commander';
import {
  defaultOf,
  type ProcessName,
  parseSettings,
  SettingError,
  type Settings,
  settingsOf,
} from '../api/settings.ts';
import { addCommands } from '../cli/commands.ts';
import { openTerminal } from '../cli/terminal.ts';
import type { LogLevel } from '../telemetry/log.ts';
import { type Part, runPart, StartError } from './part.ts';
import type { StagerFlags } from './stager.ts';
import { release } from './version.ts';

const program = new Command('stoker')
  .description('Runs open-weight models on your own hardware behind one OpenAI-compatible address.')
  .version(release)
  .showHelpAfterError('(stoker --help lists what there is)');

addPart(
  'up',
  'Run everything on this machine: a small Kubernetes API, a node, the controller and the router.',
  async (settings) => {
    const { upPart } = await import('./up.ts');
    // Whoever read the screen may be gone. Everything is still stopped in order then.
    process.stdout.on('error', () => undefined);
    return upPart(settings, (text) => process.stdout.write(text));
  },
);
addPart('controller', 'Run the controller: it owns the slots and decides what is awake.', async (settings) => {
  const { controllerPart } = await import('./controller.ts');
  return controllerPart(settings);
});
addPart('router', 'Run a router: it holds, routes and streams requests.', async (settings) => {
  const { routerPart } = await import('./router.ts');
  return routerPart(settings);
});
addPart('agent', 'Run the agent of a slot. The controller starts it in a Pod.', async (settings) => {
  const { agentPart } = await import('./agent.ts');
  return agentPart(settings);
});
addStage();
addLocalParts();
addCommands(program, openTerminal);

function addPart(name: ProcessName, description: string, create: (settings: Settings) => Promise<Part>): void {
  const command = program.command(name).description(description);
  for (const [, setting] of settingsOf(name)) {
    const fallback = defaultOf(setting, name);
    const about = `${setting.description} (${setting.variable}${fallback === undefined ? '' : `, default ${fallback}`})`;
    command.option(setting.isSwitch === true ? `--${setting.flag}` : `--${setting.flag} <value>`, about);
  }
  command.action(async (flags: Record<string, unknown>) => {
    await runToEnd(await create(parseSettings(name, flags, process.env)));
  });
}

/** Ends by itself, so it is no part. */
function addStage(): void {
  program
    .command('stage')
    .description('Download a set of files into a folder. The controller starts it in a Pod.')
    .requiredOption('--folder <folder>', 'where the files go, in a folder named by their digest')
    .option('--files <file>', 'the set as JSON (default STOKER_STAGE_FILES)')
    .option(
      '--progress-port <port>',
      'where to tell over HTTP how far it is (default: in a file beside the download)',
      (text) => parseWhole(text, 65_535),
    )
    .option(
      '--cache-bytes-max <bytes>',
      'what all sets in the folder may take; older ones go, but for those that STOKER_STAGE_KEEP names',
      (text) => parseWhole(text, Number.MAX_SAFE_INTEGER),
    )
    .action(async (flags: StagerFlags) => {
      const { runStager } = await import('./stager.ts');
      process.exitCode = await runStager(flags, process.env);
      // A connection that nobody closes must not keep the process.
      process.exit();
    });
}

function parseWhole(text: string, max: number): number {
  const value = Number(text);
  if (/^[0-9]{1,16}$/.test(text) && value <= max) return value;
  throw new InvalidArgumentError(`it must be a whole number of at most ${max}`);
}

interface LocalFlags {
  readonly dataDir: string;
  readonly logLevel: LogLevel;
}

/** The two parts that only `stoker up` starts. It gives them every flag, already judged. */
function addLocalParts(): void {
  addLocalPart('local-api')
    .requiredOption('--port <port>', 'port of the API', Number)
    .action(async (flags: LocalFlags & { port: number }) => {
      const { localApiPart } = await import('./local-api.ts');
      await runToEnd(localApiPart(flags));
    });
  addLocalPart('local-node')
    .requiredOption('--engine-threads <count>', 'threads of the engine', Number)
    .option('--allow-commands', 'let Pods run any command', false)
    .action(async (flags: LocalFlags & { engineThreads: number; allowCommands: boolean }) => {
      const { localNodePart } = await import('./local-node.ts');
      await runToEnd(localNodePart(flags));
    });
}

function addLocalPart(name: string): Command {
  return program
    .command(name, { hidden: true })
    .requiredOption('--data-dir <folder>')
    .requiredOption('--log-level <level>');
}

async function runToEnd(part: Part): Promise<void> {
  process.exitCode = await runPart(part);
  // What is left then (a socket that nobody closes) must not keep the process.
  process.exit();
}

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof SettingError || error instanceof StartError)) throw error;
  process.stderr.write(`stoker: ${error.message}\n`);
  process.exitCode = 1;
}
