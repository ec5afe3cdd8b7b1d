// `stoker model add NAME FILE`: a Model for a GGUF file on this machine, and what to do next.
import { closeSync, openSync, readSync } from 'node:fs';
import { resolve } from 'node:path';
import { API_VERSION } from '../api/group.ts';
import { kinds } from '../api/kinds.ts';
import type { Model } from '../api/model.ts';
import { type Clock, delay } from '../lib/clock.ts';
import { CommandError, type CommandIo, type OutputFormat, writeJson } from './io.ts';
import { expectSuccess, type ObjectApi, pathOf, readObject } from './object-api.ts';

export interface ModelAddOptions {
  readonly name: string;
  readonly file: string;
  readonly servedName: string | undefined;
  readonly contextLength: number | undefined;
  readonly pool: string;
  readonly waitSeconds: number;
  readonly output: OutputFormat;
  readonly clock: Clock;
}

const POLL_MS = 200;

/** Adds the model and waits until its weights are pinned, or says why they cannot be. */
export async function addModel(io: CommandIo, api: ObjectApi, options: ModelAddOptions): Promise<void> {
  const path = resolve(options.file);
  assertGguf(path, options.file);
  if ((await readObject(api, kinds.Pool, options.pool)) === undefined) {
    throw new CommandError(`There is no pool named ${options.pool}. \`stoker get pools\` lists them.`);
  }
  const servedName = options.servedName ?? options.name;
  const body = {
    apiVersion: API_VERSION,
    kind: 'Model',
    metadata: { name: options.name },
    spec: {
      servedName,
      version: {
        weights: { file: { path } },
        ...(options.contextLength === undefined ? {} : { contextLength: options.contextLength }),
      },
      pools: [options.pool],
    },
  };
  expectSuccess(await api.send({ method: 'POST', path: pathOf(api, kinds.Model), body }));
  const model = await waitUntilPinned(io, api, options);
  if (options.output === 'json') writeJson(io, model);
  else io.write(`Model ${options.name} is added. It sleeps until somebody asks: stoker chat ${servedName}\n`);
}

/** A wrong file is told before anything is made. */
function assertGguf(path: string, given: string): void {
  let magic: string;
  try {
    magic = readMagic(path);
  } catch (error) {
    throw new CommandError(`${given} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (magic !== 'GGUF') throw new CommandError(`${given} is not a GGUF file.`);
}

function readMagic(path: string): string {
  const magic = Buffer.alloc(4);
  const file = openSync(path, 'r');
  try {
    readSync(file, magic, 0, 4, 0);
  } finally {
    closeSync(file);
  }
  return magic.toString('latin1');
}

async function waitUntilPinned(io: CommandIo, api: ObjectApi, options: ModelAddOptions): Promise<Model> {
  const untilMs = options.clock.nowMs() + options.waitSeconds * 1000;
  let said = false;
  for (;;) {
    const model = (await readObject(api, kinds.Model, options.name)) as Model | undefined;
    const pinned = model?.status?.conditions?.find((condition) => condition.type === 'Pinned');
    if (model === undefined) throw new CommandError(`Model ${options.name} was deleted while its weights were read.`);
    if (pinned?.status === 'True') return model;
    if (pinned?.status === 'False') {
      throw new CommandError(`Model ${options.name} was added, but cannot be served: ${pinned.message}`);
    }
    if (options.clock.nowMs() >= untilMs) {
      throw new CommandError(
        `Model ${options.name} was added, but its weights were not read within ${options.waitSeconds} s. \`stoker get models\` shows when they are.`,
      );
    }
    if (!said) io.complain('Reading the weights to pin them…\n');
    said = true;
    await delay(options.clock, POLL_MS, io.signal);
  }
}
