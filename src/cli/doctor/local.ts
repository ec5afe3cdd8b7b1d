// Checks of a Stoker on one machine: the parts that `stoker up` started answer on their administration ports. Only asks.
import { request } from 'undici';
import { CommandError, type CommandIo } from '../io.ts';
import { readLocalAddresses } from '../local-addresses.ts';
import { bad, type Finding, good, skipped } from './finding.ts';

const ANSWER_MS_MAX = 5000;

export async function checkLocalParts(io: CommandIo): Promise<Finding[]> {
  try {
    const { status, controller } = readLocalAddresses(io);
    return [await checkPart('router', status, io.signal), await checkPart('controller', controller, io.signal)];
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return [skipped('parts', error.message)];
  }
}

async function checkPart(check: string, url: string | undefined, signal: AbortSignal): Promise<Finding> {
  if (url === undefined) return skipped(check, 'It was started apart, with an address of its own.');
  try {
    const { statusCode, body } = await request(`${url}/readyz`, {
      signal,
      headersTimeout: ANSWER_MS_MAX,
      bodyTimeout: ANSWER_MS_MAX,
    });
    const text = (await body.text()).slice(0, 300).trim();
    if (statusCode === 200) return good(check, `${url} is ready.`);
    return bad(check, `${url} is not ready: ${text}`, 'Wait a moment; then look at the output of `stoker up`.');
  } catch (error) {
    if (signal.aborted) throw error;
    const said = error instanceof Error ? error.message : String(error);
    return bad(check, `${url} does not answer (${said}).`, 'Start Stoker again with `npm start`.');
  }
}
