// The program of one controller under comparison: `stoker controller` as it is, with the planner that the first argument names.
import { parseSettings } from '../../src/api/settings.ts';
import { controllerPart } from '../../src/main/controller.ts';
import { runPart } from '../../src/main/part.ts';
import { createIdleTimeoutPlanner } from './idle-timeout-planner.ts';

const [name, ...args] = process.argv.slice(2);
const flags: Record<string, unknown> = {};
for (let at = 0; at < args.length; at += 2) {
  // As commander names them: --link-port is linkPort.
  const flag = (args[at] ?? '').replace(/^--/, '').replace(/-([a-z])/g, (_all, letter: string) => letter.toUpperCase());
  flags[flag] = args[at + 1];
}
const planner = name === 'idle-timeout' ? createIdleTimeoutPlanner() : undefined;
process.exitCode = await runPart(controllerPart(parseSettings('controller', flags, process.env), planner));
