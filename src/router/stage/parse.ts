// What the body says, as far as the router acts on it. Checks that the bytes are UTF-8 and one JSON object without
// repeated fields; everything else is the engine's and passes untouched. Pure, so that it runs in a worker as well.
import { isUtf8 } from 'node:buffer';
import { type Edit, planUsageEdits } from '../../core/route/body-edits.ts';
import { type ChatFields, type FieldFault, readChatFields } from '../../core/route/chat-fields.ts';
import { scanObject } from '../../core/route/json-scan.ts';
import { fail, ok, type Result } from '../../lib/result.ts';

/** Plain data: it crosses to and from a worker. */
export interface ParsedChat {
  readonly fields: ChatFields;
  /** What has to change in the bytes on their way to the engine. */
  readonly edits: readonly Edit[];
}

export function parse(bytes: Uint8Array): Result<ParsedChat, FieldFault> {
  if (bytes.length === 0) return wrong('The body is empty: send a JSON object.');
  if (!isUtf8(bytes)) return wrong('The body is not valid UTF-8.');
  const scan = scanObject(bytes);
  if (!scan.ok) return wrong(`The body is not usable JSON: at byte ${scan.error.offset}, ${scan.error.sentence}.`);
  const fields = readChatFields(bytes, scan.value);
  if (!fields.ok) return fields;
  return ok({ fields: fields.value, edits: fields.value.stream ? planUsageEdits(bytes, scan.value) : [] });
}

function wrong(message: string): Result<never, FieldFault> {
  return fail({ param: null, message });
}
