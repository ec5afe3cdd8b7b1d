// JSON patch, RFC 6902, with all six operations. Parsed from untrusted input; applied all or nothing to a new value.
import { isDeepStrictEqual } from 'node:util';
import { asText, isObject, withMember } from './json-value.ts';
import { ApiError, badRequest } from './status-error.ts';

type Pointer = readonly string[];

type Operation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: Pointer; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: Pointer }
  | { readonly op: 'move' | 'copy'; readonly path: Pointer; readonly from: Pointer };

const OPERATIONS_MAX = 1000;
/** What copying may add up to, in characters of JSON: `copy` can double an object again and again. */
const COPIED_CHARS_MAX = 4 * 1024 * 1024;

/** Throws ApiError 400 for what is no patch, 413 for too much of it, 422 when an operation fails. */
export function applyJsonPatch(target: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw badRequest('a JSON patch must be a list of operations');
  if (patch.length > OPERATIONS_MAX)
    throw tooMuch(`has ${patch.length} operations; at most ${OPERATIONS_MAX} are allowed`);
  let value = target;
  let copiedChars = 0;
  for (const [index, raw] of patch.entries()) {
    const operation = parseOperation(raw, index);
    if (operation.op === 'copy') copiedChars += JSON.stringify(read(value, operation.from) ?? null).length;
    if (copiedChars > COPIED_CHARS_MAX) throw tooMuch(`copies more than ${COPIED_CHARS_MAX} characters`);
    value = applyOperation(value, operation, index);
  }
  return value;
}

function parseOperation(raw: unknown, index: number): Operation {
  const { op, path, from, value } = isObject(raw) ? raw : {};
  const at = parsePointer(path, index);
  switch (op) {
    case 'add':
    case 'replace':
    case 'test':
      if (!isObject(raw) || !Object.hasOwn(raw, 'value'))
        throw badRequest(`operation ${index} of the JSON patch has no value`);
      return { op, path: at, value };
    case 'remove':
      return { op, path: at };
    case 'move':
    case 'copy':
      return { op, path: at, from: parsePointer(from, index) };
    default:
      throw badRequest(`operation ${index} of the JSON patch has no op of add, remove, replace, move, copy or test`);
  }
}

/** RFC 6901: `/a~1b/0`. */
function parsePointer(raw: unknown, index: number): Pointer {
  const text = asText(raw);
  if (text === undefined || (text !== '' && !text.startsWith('/')))
    throw badRequest(`operation ${index} of the JSON patch has no path that begins with /`);
  return text
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function applyOperation(target: unknown, operation: Operation, index: number): unknown {
  try {
    switch (operation.op) {
      case 'add':
        return edit(target, operation.path, { type: 'add', value: operation.value });
      case 'replace':
        return edit(target, operation.path, { type: 'replace', value: operation.value });
      case 'remove':
        return edit(target, operation.path, { type: 'remove' });
      case 'copy':
        return edit(target, operation.path, { type: 'add', value: existing(target, operation.from) });
      case 'move':
        return move(target, operation.from, operation.path);
      case 'test':
        if (isDeepStrictEqual(existing(target, operation.path), operation.value)) return target;
        throw new PatchFailure('the value is another one');
    }
  } catch (error) {
    if (!(error instanceof PatchFailure)) throw error;
    const path = `/${operation.path.join('/')}`;
    throw new ApiError(
      422,
      'Invalid',
      `operation ${index} (${operation.op} ${path}) of the JSON patch failed: ${error.message}`,
    );
  }
}

class PatchFailure extends Error {
  override readonly name = 'PatchFailure';
}

function move(target: unknown, from: Pointer, path: Pointer): unknown {
  const isInside = path.length > from.length && from.every((step, at) => path[at] === step);
  if (isInside) throw new PatchFailure('a value cannot be moved into itself');
  const value = existing(target, from);
  return edit(edit(target, from, { type: 'remove' }), path, { type: 'add', value });
}

function read(target: unknown, path: Pointer): unknown {
  return path.reduce<unknown>((value, step) => {
    if (Array.isArray(value)) return isIndex(step) ? value[Number(step)] : undefined;
    return isObject(value) && Object.hasOwn(value, step) ? value[step] : undefined;
  }, target);
}

function existing(target: unknown, path: Pointer): unknown {
  const value = read(target, path);
  if (value === undefined) throw new PatchFailure('there is nothing at that path');
  return value;
}

type Edit = { readonly type: 'add' | 'replace'; readonly value: unknown } | { readonly type: 'remove' };

function edit(target: unknown, path: Pointer, change: Edit): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return change.type === 'remove' ? null : change.value;
  if (rest.length === 0)
    return Array.isArray(target) ? editList(target, step, change) : editMember(target, step, change);
  const inner = edit(existing(target, [step]), rest, change);
  return Array.isArray(target)
    ? target.with(Number(step), inner)
    : withMember(isObject(target) ? target : {}, step, inner);
}

function editMember(target: unknown, name: string, change: Edit): unknown {
  if (!isObject(target)) throw new PatchFailure('the value around it is neither an object nor a list');
  if (change.type !== 'add' && !Object.hasOwn(target, name)) throw new PatchFailure('there is nothing at that path');
  return withMember(target, name, change.type === 'remove' ? undefined : change.value);
}

function editList(target: readonly unknown[], step: string, change: Edit): unknown {
  const at = step === '-' ? target.length : Number(step);
  if (step !== '-' && !isIndex(step)) throw new PatchFailure(`${step} is not an index`);
  if (at > target.length || (change.type !== 'add' && at === target.length))
    throw new PatchFailure(`the list has only ${target.length} entries`);
  if (change.type === 'add') return target.toSpliced(at, 0, change.value);
  return change.type === 'replace' ? target.with(at, change.value) : target.toSpliced(at, 1);
}

function isIndex(step: string): boolean {
  return /^(0|[1-9]\d{0,8})$/.test(step);
}

function tooMuch(sentence: string): ApiError {
  return new ApiError(413, 'RequestEntityTooLarge', `the JSON patch ${sentence}`);
}
