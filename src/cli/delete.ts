// `stoker delete KIND NAME`: asks for the deletion and waits until the object is gone, since a model drains first.
import { type Clock, delay } from '../lib/clock.ts';
import { CommandError, type CommandIo, type OutputFormat, writeJson } from './io.ts';
import { expectSuccess, kindOfWord, type ObjectApi, pathOf, readObject } from './object-api.ts';

const POLL_MS = 200;

export async function deleteObject(
  io: CommandIo,
  api: ObjectApi,
  what: { kind: string; name: string; waitSeconds: number; output: OutputFormat; clock: Clock },
): Promise<void> {
  const kind = kindOfWord(what.kind);
  expectSuccess(await api.send({ method: 'DELETE', path: pathOf(api, kind, what.name) }));
  const untilMs = what.clock.nowMs() + what.waitSeconds * 1000;
  while ((await readObject(api, kind, what.name)) !== undefined) {
    if (what.clock.nowMs() >= untilMs) {
      throw new CommandError(
        `${kind.kind} ${what.name} is being deleted, but was not gone after ${what.waitSeconds} s. Requests that run may still be finishing.`,
      );
    }
    await delay(what.clock, POLL_MS, io.signal);
  }
  if (what.output === 'json') writeJson(io, { kind: kind.kind, name: what.name, deleted: true });
  else io.write(`${kind.kind.toLowerCase()}/${what.name} deleted\n`);
}
