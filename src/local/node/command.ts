// Decides what a container runs. Images are not pulled here: a container is Stoker's own agent, or, only where the node was
// started so, any command that it names.
import type { ContainerSpec } from '../../api/kinds.ts';
import { fail, ok, type Result } from '../../lib/result.ts';

export interface Command {
  readonly command: string;
  readonly args: readonly string[];
}

export interface CommandPolicy {
  /** How `stoker` is run on this machine. */
  readonly entryPoint: Command;
  /** Any other command may run, too. */
  readonly allowCommands: boolean;
}

/** The parts of Stoker that run in Pods. */
const entryPoints: readonly string[] = ['agent', 'stage'];

/** The command line, or the sentence of the refusal. */
export function chooseCommand(container: ContainerSpec, policy: CommandPolicy): Result<Command, string> {
  const [program, ...args] = [...(container.command ?? []), ...(container.args ?? [])];
  if (program === 'stoker' && container.command?.[0] === 'stoker') {
    const part = args[0] ?? '';
    if (entryPoints.includes(part) || policy.allowCommands) {
      return ok({ command: policy.entryPoint.command, args: [...policy.entryPoint.args, ...args] });
    }
  }
  if (container.command === undefined || container.command.length === 0 || program === undefined) {
    return fail(
      `Container ${container.name} names no command. The local node runs no images, so the command must be written out.`,
    );
  }
  if (policy.allowCommands) return ok({ command: program, args });
  return fail(
    `Container ${container.name} wants to run "${program}". The local node runs only \`stoker ${entryPoints.join('|')}\`; start it with --allow-commands to run anything.`,
  );
}
