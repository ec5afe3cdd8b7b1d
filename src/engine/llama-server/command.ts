// The command line of `llama-server` for one launch. Pure. Its parser knows no `--flag=value`. Nothing is fetched, and what lets
// callers read files or run tools stays off, as it is by default.
import type { LlamaServerLaunch } from '../../api/link.ts';
import type { Environment } from '../process-group.ts';
import type { EngineCommand, ListenAt } from '../third-party/dialect.ts';

const PATH_DEFAULT = '/usr/local/bin:/usr/bin:/bin';
/** Where its own images keep it; they do not put the folder into PATH. */
const IMAGE_FOLDER = '/app';

export function llamaServerCommand(
  launch: LlamaServerLaunch,
  { host, port, key }: ListenAt,
  environment: Environment,
): EngineCommand {
  const { temperature, topP, topK } = launch.sampling ?? {};
  return {
    command: 'llama-server',
    args: [
      ['--model', launch.weightsPath],
      ['--alias', launch.servedName],
      ['--host', host],
      ['--port', String(port)],
      // It divides the context among its places.
      ['--ctx-size', String(launch.contextLength * launch.concurrency)],
      ['--parallel', String(launch.concurrency)],
      temperature === undefined ? [] : ['--temp', temperature],
      topP === undefined ? [] : ['--top-p', topP],
      topK === undefined ? [] : ['--top-k', String(topK)],
      ['--metrics', '--no-webui', '--offline'],
      launch.args.flatMap(splitArgument),
    ].flat(),
    variables: {
      // Read by the server instead of --api-key: arguments are open to every user.
      LLAMA_API_KEY: key,
      PATH: `${environment.PATH ?? PATH_DEFAULT}:${IMAGE_FOLDER}`,
    },
  };
}

function splitArgument(argument: string): string[] {
  const at = argument.indexOf('=');
  return at === -1 ? [argument] : [argument.slice(0, at), argument.slice(at + 1)];
}
