// How long slots were without a leader, by what the controller that leads now wrote down.
import type { Site } from './site.ts';

const LINES_MAX = 2000;

/** From the moment it leads to the session of the last slot. Waits for that one. */
export async function measureHandOver(site: Site, slots: number): Promise<number> {
  let lateMs = Number.NaN;
  await site.until(async () => {
    const selector = 'app.kubernetes.io/component=controller';
    const args = ['-n', site.namespace, 'logs', '-l', selector, `--tail=${LINES_MAX}`];
    const lines = (await site.kubectl(...args)).split('\n').filter((line) => line.startsWith('{'));
    const entries = lines.map((line) => JSON.parse(line) as Record<string, string>);
    // The Pod of the one before may still be there, and its log with it.
    const inOrder = entries.sort((one, other) => Date.parse(one.time ?? '') - Date.parse(other.time ?? ''));
    const leads = inOrder.findLastIndex(({ msg }) => msg === 'this controller leads');
    const opened = inOrder.slice(leads).filter(({ msg, role }) => msg === 'a link session is open' && role === 'agent');
    lateMs = Date.parse(opened.at(-1)?.time ?? '') - Date.parse(inOrder[leads]?.time ?? '');
    return opened.length >= slots;
  }, `${slots} slots to be linked to the new leader`);
  return lateMs;
}
