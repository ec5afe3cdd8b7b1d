// Reads YAML (or JSON) that a person wrote into objects of our kinds, or says file, line, field and what is wrong. Objects
// stay exactly as written: defaults are the server's work. The text is untrusted: size, aliases and depth are bounded.
import { type Document, isMap, isScalar, isSeq, LineCounter, parseAllDocuments } from 'yaml';
import { type Problem, valueAt } from './issue-sentences.ts';
import { findUnknownFields } from './unknown-fields.ts';
import { validateObject } from './validate-object.ts';

/** An object as it was written, with defaults still absent. */
export interface WrittenObject extends Readonly<Record<string, unknown>> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Readonly<Record<string, unknown>> & { readonly name: string };
}

export interface ManifestObject {
  readonly kind: string;
  readonly object: WrittenObject;
  /** The line its document begins at, from 1. */
  readonly line: number;
}

export interface ManifestError {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column?: number;
  /** The field, for example `spec.pools[0]`; empty for the whole document. */
  readonly path: string;
  readonly sentence: string;
}

/** Errors of one document leave the others standing. */
export interface Manifest {
  readonly objects: readonly ManifestObject[];
  readonly errors: readonly ManifestError[];
}

/** The largest text that is read, in UTF-16 units. An object of ours is a few KiB. */
const TEXT_CHARS_MAX = 1024 * 1024;
/** Aliases that one document may resolve: more than that is an attempt to fill the memory. */
const ALIASES_MAX = 64;
/** Brackets open at once. YAML's own parser recurses, so this is looked at before. */
const DEPTH_MAX = 64;

interface Source {
  readonly file: string;
  readonly lines: LineCounter;
}

/** `file` is only named in the errors. Never throws. */
export function parseManifest(text: string, file: string): Manifest {
  const refusal = refuseText(text);
  if (refusal !== undefined) return { objects: [], errors: [{ file, line: 1, path: '', sentence: refusal }] };
  const source: Source = { file, lines: new LineCounter() };
  const documents = parseAllDocuments(text, { lineCounter: source.lines, prettyErrors: false });
  const objects: ManifestObject[] = [];
  const errors: ManifestError[] = [];
  for (const document of documents) {
    const read = readDocument(document, source, objects);
    if (Array.isArray(read)) errors.push(...read);
    else if (read !== undefined) objects.push(read);
  }
  return { objects, errors };
}

function refuseText(text: string): string | undefined {
  if (text.length > TEXT_CHARS_MAX) return `has ${text.length} characters; at most ${TEXT_CHARS_MAX} are read`;
  if (deepestNesting(text) > DEPTH_MAX) return `is nested deeper than ${DEPTH_MAX} levels`;
  return undefined;
}

/** An upper bound for the nesting: brackets, and for blocks the indentation and the dashes of one line. */
function deepestNesting(text: string): number {
  let open = 0;
  let deepest = 0;
  for (const line of text.split('\n')) {
    const indent = /^(?:[ ]|- |\? |: )*/.exec(line)?.[0] ?? '';
    deepest = Math.max(deepest, Math.ceil(indent.length / 2));
    for (const letter of line) {
      if (letter === '[' || letter === '{') open += 1;
      else if ((letter === ']' || letter === '}') && open > 0) open -= 1;
      deepest = Math.max(deepest, open);
    }
  }
  return deepest;
}

/** The object, its errors, or undefined for a document without content. */
function readDocument(
  document: Document.Parsed,
  source: Source,
  earlier: readonly ManifestObject[],
): ManifestObject | ManifestError[] | undefined {
  if (document.errors.length > 0) {
    return document.errors.map((error) => errorAt(source, error.pos[0], { path: '', message: error.message }));
  }
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) return undefined;
  const start = document.contents.range[0];
  const value = toValue(document);
  if (typeof value === 'string') return [errorAt(source, start, { path: '', message: value })];
  const { line } = source.lines.linePos(start);
  const problems = judge(value.object, earlier);
  if (problems.length === 0 && isWritten(value.object)) return { kind: value.object.kind, object: value.object, line };
  return problems.map((problem) => errorAt(source, offsetOf(document, problem.path) ?? start, problem));
}

/** The plain value; a sentence when there is none. */
function toValue(document: Document.Parsed): { readonly object: unknown } | string {
  try {
    const object: unknown = document.toJS({ maxAliasCount: ALIASES_MAX });
    return { object };
  } catch (error) {
    return error instanceof ReferenceError
      ? `uses aliases that cannot be resolved, or more than ${ALIASES_MAX} of them`
      : `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function judge(object: unknown, earlier: readonly ManifestObject[]): Problem[] {
  if (typeof object !== 'object' || object === null || Array.isArray(object)) {
    return [{ path: '', message: 'must be an object with apiVersion, kind, metadata and spec' }];
  }
  const kind = valueAt(object, ['kind']);
  if (typeof kind !== 'string') return [{ path: 'kind', message: 'is required' }];
  const twin = earlier.find(
    (other) => other.kind === kind && other.object.metadata.name === valueAt(object, ['metadata', 'name']),
  );
  if (twin !== undefined) {
    return [{ path: 'metadata.name', message: `is there twice: the ${kind} of line ${twin.line} has it, too` }];
  }
  return [...findUnknownFields(kind, object), ...validateObject(kind, object)];
}

/** True for what validateObject found nothing wrong with; written out for the compiler. */
function isWritten(object: unknown): object is WrittenObject {
  return (
    typeof valueAt(object, ['apiVersion']) === 'string' &&
    typeof valueAt(object, ['kind']) === 'string' &&
    typeof valueAt(object, ['metadata', 'name']) === 'string'
  );
}

function errorAt({ file, lines }: Source, offset: number, { path, message }: Problem): ManifestError {
  const { line, col } = lines.linePos(offset);
  return { file, line, column: col, path, sentence: message };
}

/** Where the field, or the nearest field around it, stands in the text. */
function offsetOf(document: Document.Parsed, path: string): number | undefined {
  let node: unknown = document.contents;
  let offset: number | undefined;
  for (const step of path.match(/[^.[\]]+/g) ?? []) {
    const found = stepInto(node, step);
    if (found === undefined) break;
    offset = found.offset ?? offset;
    node = found.node;
  }
  return offset;
}

function stepInto(node: unknown, step: string): { node: unknown; offset: number | undefined } | undefined {
  if (isMap(node)) {
    const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === step);
    return pair === undefined
      ? undefined
      : { node: pair.value, offset: isScalar(pair.key) ? pair.key.range?.[0] : undefined };
  }
  if (!isSeq(node)) return undefined;
  const item: unknown = node.items[Number(step)];
  return item === undefined
    ? undefined
    : { node: item, offset: isScalar(item) || isMap(item) ? item.range?.[0] : undefined };
}
