// Puts the demo into a new data folder, once: somebody who deleted it does not get it back. Works through the API as the
// person whose machine it is, and leaves what is already there alone.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { kinds } from '../api/kinds.ts';
import { parseManifest, type WrittenObject } from '../api/manifest.ts';
import type { Model } from '../api/model.ts';
import { connectApi } from '../cli/connect.ts';
import type { CommandIo } from '../cli/io.ts';
import { expectSuccess, kindOfWord, type ObjectApi, pathOf } from '../cli/object-api.ts';
import { withLastApplied } from '../cli/three-way.ts';
import { type DataFolder, writePrivateFile } from './data-folder.ts';
import type { ModelLine } from './screen.ts';
import { packageFolder } from './version.ts';

const DEMO_FOLDER = join(packageFolder, 'manifests', 'demo');

/** Applies the demo when the folder never had it. Returns every model there is, in name order, for the screen. */
export async function applyDemoOnce(folder: DataFolder, signal: AbortSignal): Promise<readonly ModelLine[]> {
  const api = await connectApi(quiet(signal), folder.kubeconfigFile);
  try {
    const mark = join(folder.path, 'demo-applied');
    if (!existsSync(mark)) {
      for (const object of readDemo()) await createUnlessThere(api, object);
      writePrivateFile(mark, 'The demo was put here once. Remove this file to get it again at the next start.\n');
    }
    const list = expectSuccess(await api.send({ method: 'GET', path: pathOf(api, kinds.Model) }));
    return modelLines((list as { items: readonly Model[] }).items);
  } finally {
    await api.close();
  }
}

function readDemo(): WrittenObject[] {
  return readdirSync(DEMO_FOLDER)
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .flatMap((name) => {
      const { objects, errors } = parseManifest(readFileSync(join(DEMO_FOLDER, name), 'utf8'), name);
      const [error] = errors;
      if (error !== undefined) throw new Error(`${name}:${error.line}: ${error.path}: ${error.sentence}`);
      return objects.map(({ object }) => withWeightsFrom(object, packageFolder));
    });
}

/** The object with its relative path of weights made absolute: Stoker may be started in any folder. */
export function withWeightsFrom(object: WrittenObject, folder: string): WrittenObject {
  if (object.kind !== 'Model') return object;
  // The manifest was judged by parseManifest, so a Model has the fields of one.
  const spec = object.spec as Model['spec'];
  const file = spec.version.weights?.file;
  if (file === undefined || isAbsolute(file.path)) return object;
  const weights = { ...spec.version.weights, file: { ...file, path: join(folder, file.path) } };
  return { ...object, spec: { ...spec, version: { ...spec.version, weights } } };
}

async function createUnlessThere(api: ObjectApi, object: WrittenObject): Promise<void> {
  const path = pathOf(api, kindOfWord(object.kind));
  // Remembered as applied, so that `kubectl apply` and `stoker apply` go on from here.
  const answer = await api.send({ method: 'POST', path, body: withLastApplied({ ...object }) });
  if (answer.status !== 409) expectSuccess(answer);
}

/** No engine outlives its Stoker, so at the start a model is Staged once its weights were pinned here, and else Absent. */
export function modelLines(models: readonly Model[]): ModelLine[] {
  return models
    .map(({ metadata, spec, status }) => ({
      name: metadata.name,
      servedName: spec.servedName,
      rung: status?.stableRevision === undefined ? 'Absent' : 'Staged',
    }))
    .sort((a, b) => a.name.localeCompare(b.name));
}

/** Commands that nobody watches: nothing is printed, nothing is read from the environment. */
function quiet(signal: AbortSignal): CommandIo {
  return { write: () => {}, complain: () => {}, environment: {}, isTerminal: false, signal, exitWith: () => {} };
}
