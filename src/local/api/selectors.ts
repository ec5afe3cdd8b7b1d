// Label and field selectors as Kubernetes writes them: parsed from untrusted text into a function over objects. Labels:
// equality and sets. Fields: equality on metadata.name, metadata.namespace and what the kind allows.
import { type ResourceDefinition, resourceName } from './definition.ts';
import { asText, valueAt } from './json-value.ts';
import { badRequest } from './status-error.ts';

export type ObjectFilter = (object: unknown) => boolean;

const SELECTOR_CHARS_MAX = 4096;
const everything: ObjectFilter = () => true;
/** No label value has this form. */
const MISSING = '\n';

const KEY = '[A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?';
const VALUE = '(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?';
const equality = new RegExp(`^(${KEY})\\s*(==|=|!=)\\s*(${VALUE})$`);
const membership = new RegExp(`^(${KEY})\\s+(in|notin)\\s*\\(([^()]*)\\)$`);
const existence = new RegExp(`^(!?)\\s*(${KEY})$`);
const wholeValue = new RegExp(`^${VALUE}$`);

/** Throws ApiError 400 with the part that cannot be read. */
export function parseLabelSelector(text: string | undefined): ObjectFilter {
  if (text === undefined || text.trim() === '') return everything;
  assertShort(text);
  return all(splitOutsideParentheses(text).map(parseRequirement));
}

function parseRequirement(text: string): ObjectFilter {
  const compared = equality.exec(text);
  if (compared !== null) {
    const [, key = '', operator, value = ''] = compared;
    return operator === '!=' ? (object) => label(object, key) !== value : (object) => label(object, key) === value;
  }
  const listed = membership.exec(text);
  if (listed !== null) {
    const [, key = '', operator, list = ''] = listed;
    const values = new Set(list.split(',').map((value) => assertValue(value.trim(), text)));
    const isIn: ObjectFilter = (object) => values.has(label(object, key) ?? MISSING);
    return operator === 'in' ? isIn : (object) => !isIn(object);
  }
  const named = existence.exec(text);
  if (named === null) throw unreadable('label', text);
  const [, not, key = ''] = named;
  return not === '!' ? (object) => label(object, key) === undefined : (object) => label(object, key) !== undefined;
}

function label(object: unknown, key: string): string | undefined {
  return asText(valueAt(object, ['metadata', 'labels', key]));
}

function assertValue(value: string, text: string): string {
  if (wholeValue.test(value)) return value;
  throw unreadable('label', text);
}

/** Throws ApiError 400 for a field that the kind does not offer. */
export function parseFieldSelector(definition: ResourceDefinition, text: string | undefined): ObjectFilter {
  if (text === undefined || text.trim() === '') return everything;
  assertShort(text);
  const allowed = new Set(['metadata.name', 'metadata.namespace', ...(definition.selectableFields ?? [])]);
  return all(splitUnescaped(text).map((part) => parseFieldTerm(definition, allowed, part)));
}

/** The name when the selector asks for exactly one, so that no list has to be walked. */
export function selectedName(text: string | undefined): string | undefined {
  return /^metadata\.name==?([a-z0-9][-a-z0-9.]*)$/.exec(text ?? '')?.[1];
}

function parseFieldTerm(definition: ResourceDefinition, allowed: ReadonlySet<string>, text: string): ObjectFilter {
  const [, field, operator, escaped = ''] = /^([A-Za-z0-9.]+)(!=|==|=)(.*)$/s.exec(text.trim()) ?? [];
  if (field === undefined) throw unreadable('field', text);
  if (!allowed.has(field)) {
    throw badRequest(
      `field label not supported: ${field}; ${resourceName(definition)} can be selected by ${[...allowed].join(', ')}`,
    );
  }
  const wanted = escaped.replace(/\\(.)/gs, '$1');
  const path = field.split('.');
  const read = (object: unknown) => {
    const value = valueAt(object, path);
    return value === undefined || value === null ? '' : String(value);
  };
  return operator === '!=' ? (object) => read(object) !== wanted : (object) => read(object) === wanted;
}

function all(filters: readonly ObjectFilter[]): ObjectFilter {
  return (object) => filters.every((matches) => matches(object));
}

function splitOutsideParentheses(text: string): string[] {
  return text.split(/,(?![^()]*\))/).map((part) => part.trim());
}

function splitUnescaped(text: string): string[] {
  return text.split(/(?<!\\),/).filter((part) => part.trim() !== '');
}

function assertShort(text: string): void {
  if (text.length > SELECTOR_CHARS_MAX)
    throw badRequest(`the selector is longer than ${SELECTOR_CHARS_MAX} characters`);
}

function unreadable(kind: 'label' | 'field', text: string): Error {
  return badRequest(`unable to parse the ${kind} selector: ${JSON.stringify(text.slice(0, 200))}`);
}
