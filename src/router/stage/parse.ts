// What the body says, as far as the router acts on it. Checks that the bytes are UTF-8 and one JSON object without
// repeated fields; everything else is the engine's and passes untouched. Pure, so that it runs in a worker as well.
import { isUtf8 } from 'node:buffer';
import { type Edit, type Span, spanOf } from '../../core/route/body-edits.ts';
import { inferenceRoutes, type RouteName } from '../../core/route/inference-routes.ts';
import { scanObject } from '../../core/route/json-scan.ts';
import type { FieldFault, RequestFields } from '../../core/route/request-fields.ts';
import { fail, ok, type Result } from '../../lib/result.ts';

/** Plain data: it crosses to and from a worker. */
export interface ParsedBody {
  readonly fields: RequestFields;
  /** What has to change in the bytes on their way to the engine. */
  readonly edits: readonly Edit[];
  /** Where the value of `model` is. */
  readonly modelAt: Span;
}

export function parse(bytes: Uint8Array, name: RouteName): Result<ParsedBody, FieldFault> {
  if (bytes.length === 0) return wrong('The body is empty: send a JSON object.');
  if (!isUtf8(bytes)) return wrong('The body is not valid UTF-8.');
  const scan = scanObject(bytes);
  if (!scan.ok) return wrong(`The body is not usable JSON: at byte ${scan.error.offset}, ${scan.error.sentence}.`);
  const route = inferenceRoutes[name];
  const fields = route.readFields(bytes, scan.value);
  if (!fields.ok) return fields;
  const edits = fields.value.stream ? route.planEdits(bytes, scan.value) : [];
  return ok({ fields: fields.value, edits, modelAt: spanOf(scan.value, 'model') });
}

function wrong(message: string): Result<never, FieldFault> {
  return fail({ param: null, message });
}
