// What a client is able to read, and what it says that its body is. Only JSON goes out.
import { notAcceptable, unsupportedMediaType } from './status-error.ts';

export type Representation = 'Json' | 'Table';

/** Throws ApiError 406 when the client takes nothing that this server speaks. */
export function chooseRepresentation(accept: string | undefined, canTable: boolean): Representation {
  if (accept === undefined || accept.trim() === '') return 'Json';
  for (const range of accept.split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    if (type !== 'application/json' && type !== 'application/*' && type !== '*/*') continue;
    const as = parameters.find((parameter) => parameter.startsWith('as='));
    if (as === undefined) return 'Json';
    const isTable = as === 'as=table' && parameters.includes('g=meta.k8s.io') && parameters.includes('v=v1');
    if (isTable && canTable) return 'Table';
  }
  throw notAcceptable();
}

export type BodyFormat = 'json' | 'protobuf';

/** Throws ApiError 415. A body without a type is JSON. */
export function parseBodyFormat(contentType: string | undefined): BodyFormat {
  switch (plainType(contentType)) {
    case '':
    case 'application/json':
    case 'text/json':
      return 'json';
    case 'application/vnd.kubernetes.protobuf':
      return 'protobuf';
    default:
      throw unsupportedMediaType(
        'the body of the request was in an unknown format - accepted media types include: application/json',
      );
  }
}

export type PatchFormat = 'merge' | 'json';

/** What to do instead of the patches that this server does not speak. */
const instead: Readonly<Record<string, string>> = {
  'application/strategic-merge-patch+json':
    'This server does not speak strategic merge patch, which kubectl apply and edit use for the kinds of Kubernetes itself: use kubectl replace, or kubectl patch --type=merge.',
  'application/apply-patch+yaml':
    'This server does not speak server-side apply: use kubectl apply without --server-side.',
  'application/apply-patch+cbor':
    'This server does not speak server-side apply: use kubectl apply without --server-side.',
};

/** Throws ApiError 415 with a sentence that says what to use. */
export function parsePatchFormat(contentType: string | undefined): PatchFormat {
  const type = plainType(contentType);
  if (type === 'application/merge-patch+json') return 'merge';
  if (type === 'application/json-patch+json') return 'json';
  const sentence = instead[type] ?? 'The body of the request was in an unknown format.';
  throw unsupportedMediaType(
    `${sentence} Accepted media types include: application/json-patch+json, application/merge-patch+json`,
  );
}

function plainType(contentType: string | undefined): string {
  return (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}
