// A process that runs runPart with a part of the test: `ready`, `slow` (starts only when it is stopped), `stuck` (never
// starts), `failing`, `stubborn` (never stops), `over` (is ready, then cannot go on) or
// `mortal` (is ready, then dies). Says on standard output what happens.
import { runPart, StartError } from '../../src/main/part.ts';
import { createLog } from '../../src/telemetry/log.ts';

const [behaviour = 'ready'] = process.argv.slice(2);
const say = (text: string) => process.stdout.write(`${text}\n`);
const forever = new Promise<never>(() => {});
// Keeps the process alive, as sockets do in a real part.
setInterval(() => {}, 1000);

process.exitCode = await runPart({
  name: 'scripted',
  log: createLog('scripted', 'silent'),
  stopMsMax: 300,
  async start(stopping) {
    say('starting');
    if (behaviour === 'failing') throw new StartError('The port is taken.');
    if (behaviour === 'stuck') await forever;
    if (behaviour === 'slow') await new Promise((resolve) => stopping.addEventListener('abort', resolve));
    say('started');
    if (behaviour === 'mortal') setImmediate(() => process.exit(9));
    return {
      facts: { port: 1, pid: process.pid },
      ...(behaviour === 'over' ? { ended: Promise.resolve('Another one leads.') } : {}),
      async stop() {
        if (behaviour === 'stubborn') await forever;
        say('stopped');
      },
    };
  },
});
process.exit();
