// `stoker apply -f FILE`: makes the objects as the file says. A bad object is refused with file, line, path and a
// sentence; the good ones beside it are applied.
import type { ClusterObject } from '../api/group.ts';
import { type ManifestObject, parseManifest } from '../api/manifest.ts';
import { CommandError, type CommandIo, type OutputFormat, writeJson } from './io.ts';
import type { ManifestFile, ManifestFiles } from './manifest-files.ts';
import { expectSuccess, kindOfWord, NoAnswerError, type ObjectApi, pathOf, readObject } from './object-api.ts';
import { readLastApplied, threeWayPatch, withLastApplied } from './three-way.ts';

type Verb = 'created' | 'configured' | 'unchanged';

interface Applied {
  readonly kind: string;
  readonly name: string;
  readonly verb: Verb;
}

/** Throws CommandError after everything was tried when something was refused. */
export async function applyFiles(
  io: CommandIo,
  api: ObjectApi,
  { files, complaints }: ManifestFiles,
  output: OutputFormat,
): Promise<void> {
  const applied: Applied[] = [];
  let problems = 0;
  const complain = (sentence: string) => {
    problems += 1;
    io.complain(`${sentence}\n`);
  };
  for (const complaint of complaints) complain(complaint);
  for (const file of files) {
    for await (const done of applyFile(api, file)) {
      if (typeof done === 'string') complain(done);
      else applied.push(done);
      if (output === 'table' && typeof done !== 'string') io.write(renderApplied(done));
    }
  }
  if (output === 'json') writeJson(io, { applied, problems });
  if (problems > 0) throw new CommandError(renderProblems(problems, applied.length));
  if (applied.length === 0) throw new CommandError(`${files.map(({ name }) => name).join(', ')}: there is no object.`);
}

/** Yields what was done with each object, or the sentence of what is wrong, with file and line. */
async function* applyFile(api: ObjectApi, { name, text }: ManifestFile): AsyncGenerator<Applied | string> {
  const { objects, errors } = parseManifest(text, name);
  for (const error of errors) yield renderPlace(error.file, error.line, error.path) + error.sentence;
  for (const { object, line } of objects) {
    const done = await applyOrComplain(api, object);
    yield typeof done === 'string' ? renderPlace(name, line, undefined) + done : done;
  }
}

function renderApplied({ kind, name, verb }: Applied): string {
  return `${kind.toLowerCase()}/${name} ${verb}\n`;
}

function renderProblems(problems: number, applied: number): string {
  const found = problems === 1 ? 'There was a problem' : `There were ${problems} problems`;
  const rest = applied === 0 ? 'nothing was applied' : `what is good was applied (${applied})`;
  return `${found}; ${rest}.`;
}

/** What was done, or the sentence of the refusal. */
async function applyOrComplain(api: ObjectApi, object: ManifestObject['object']): Promise<Applied | string> {
  try {
    return await applyObject(api, object);
  } catch (error) {
    // Without an answer the next object would fare no better.
    if (error instanceof NoAnswerError || !(error instanceof CommandError)) throw error;
    return error.message;
  }
}

function renderPlace(file: string, line: number, path: string | undefined): string {
  return `${file}:${line}: ${path === undefined || path === '' ? '' : `${path}: `}`;
}

async function applyObject(api: ObjectApi, object: ManifestObject['object']): Promise<Applied> {
  const kind = kindOfWord(object.kind);
  const { name } = object.metadata;
  const live = await readObject(api, kind, name);
  const wanted = withLastApplied({ ...object });
  if (live === undefined) {
    expectSuccess(await api.send({ method: 'POST', path: pathOf(api, kind), body: wanted }));
    return { kind: object.kind, name, verb: 'created' };
  }
  const plain = { ...live };
  const patch = threeWayPatch(readLastApplied(plain), plain, wanted);
  if (Object.keys(patch).length === 0) return { kind: object.kind, name, verb: 'unchanged' };
  const answer = await api.send({
    method: 'PATCH',
    path: pathOf(api, kind, name),
    body: patch,
    headers: { 'content-type': 'application/merge-patch+json' },
  });
  const after = expectSuccess(answer) as ClusterObject;
  const verb = after.metadata.resourceVersion === live.metadata.resourceVersion ? 'unchanged' : 'configured';
  return { kind: object.kind, name, verb };
}
