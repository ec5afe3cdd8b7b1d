// Every refusal of the server: HTTP code, the reason that programs read, and the sentence that people read, as a
// metav1.Status. The sentences are those of a real API server where clients are known to show or parse them.
import { type ResourceDefinition, resourceName } from './definition.ts';

export interface StatusCause {
  readonly reason: string;
  readonly message: string;
  readonly field?: string;
}

interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

type Named = Pick<ResourceDefinition, 'group' | 'plural' | 'kind'>;

/** A refusal, thrown by whoever finds the reason and written once by the server. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: number;
  readonly reason: string;
  readonly details: StatusDetails | undefined;

  constructor(code: number, reason: string, message: string, details?: StatusDetails) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.details = details;
  }
}

export function renderStatus({ code, reason, message, details }: ApiError): object {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    ...(details === undefined ? {} : { details }),
    code,
  };
}

function detailsOf({ group, plural }: Named, name: string): StatusDetails {
  return { name, ...(group === '' ? {} : { group }), kind: plural };
}

export function badRequest(message: string): ApiError {
  return new ApiError(400, 'BadRequest', message);
}

export function unauthorized(): ApiError {
  return new ApiError(401, 'Unauthorized', 'Unauthorized');
}

export function forbidden(message: string): ApiError {
  return new ApiError(403, 'Forbidden', message);
}

/** `sentence` says why, for example a quota. */
export function forbiddenObject(definition: Named, name: string, sentence: string): ApiError {
  const message = `${resourceName(definition)}${name === '' ? '' : ` "${name}"`} is forbidden: ${sentence}`;
  return new ApiError(403, 'Forbidden', message, detailsOf(definition, name));
}

export function pathNotFound(): ApiError {
  return new ApiError(404, 'NotFound', 'the server could not find the requested resource');
}

export function notFound(definition: Named, name: string): ApiError {
  const message = `${resourceName(definition)} "${name}" not found`;
  return new ApiError(404, 'NotFound', message, detailsOf(definition, name));
}

export function methodNotAllowed(): ApiError {
  return new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource');
}

export function notAcceptable(): ApiError {
  return new ApiError(
    406,
    'NotAcceptable',
    'only the following media types are accepted: application/json, application/json;as=Table;v=v1;g=meta.k8s.io',
  );
}

export function alreadyExists(definition: Named, name: string): ApiError {
  const message = `${resourceName(definition)} "${name}" already exists`;
  return new ApiError(409, 'AlreadyExists', message, detailsOf(definition, name));
}

const MODIFIED = 'the object has been modified; please apply your changes to the latest version and try again';

export function conflict(definition: Named, name: string, sentence: string = MODIFIED): ApiError {
  const message = `Operation cannot be fulfilled on ${resourceName(definition)} "${name}": ${sentence}`;
  return new ApiError(409, 'Conflict', message, detailsOf(definition, name));
}

export function expired(message: string): ApiError {
  return new ApiError(410, 'Expired', message);
}

export function bodyTooLarge(bytesMax: number): ApiError {
  return new ApiError(413, 'RequestEntityTooLarge', `the body is larger than ${bytesMax} bytes`);
}

export function objectTooLarge(definition: Named, name: string, charsMax: number): ApiError {
  const message = `${resourceName(definition)} "${name}" is larger than ${charsMax} bytes`;
  return new ApiError(413, 'RequestEntityTooLarge', message, detailsOf(definition, name));
}

export function unsupportedMediaType(message: string): ApiError {
  return new ApiError(415, 'UnsupportedMediaType', message);
}

export function invalid(definition: Named, name: string, causes: readonly StatusCause[]): ApiError {
  const kind = definition.group === '' ? definition.kind : `${definition.kind}.${definition.group}`;
  const sentences = causes.map(({ field, message }) => (field === undefined ? message : `${field}: ${message}`));
  const list = sentences.length === 1 ? sentences[0] : `[${sentences.join(', ')}]`;
  const group = definition.group === '' ? {} : { group: definition.group };
  const details = { name, ...group, kind: definition.kind, causes };
  return new ApiError(422, 'Invalid', `${kind} "${name}" is invalid: ${list}`, details);
}

export function tooManyRequests(message: string): ApiError {
  return new ApiError(429, 'TooManyRequests', message, { retryAfterSeconds: 1 });
}

export function internalError(message: string): ApiError {
  return new ApiError(500, 'InternalError', `Internal error occurred: ${message}`);
}

/** The client is ahead of this server: it has seen another one, or the data folder was replaced. */
export function versionTooLarge(asked: number, current: number): ApiError {
  const message = `Too large resource version: ${asked}, current: ${current}`;
  const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }];
  return new ApiError(504, 'Timeout', message, { causes, retryAfterSeconds: 1 });
}
