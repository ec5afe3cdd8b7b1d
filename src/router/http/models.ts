// GET /v1/models and /v1/models/{id}: every model that the table names, whatever rung it is on, in OpenAI's shape.
import type { PolicyModel } from '../../api/link.ts';
import type { Call } from '../call.ts';
import type { RouterContext } from '../context.ts';
import { choose, firstTable, notFound, type TableOptions } from '../stage/choose.ts';

export const MODELS_PATH = '/v1/models';

export async function serveModels(call: Call, context: RouterContext): Promise<void> {
  const table = await firstTable(call, tableOf(context));
  const data = table.models.map(renderModel);
  call.sink.answer(JSON.stringify({ object: 'list', data }));
}

/** An id may contain slashes, written as they are or as %2F. */
export async function serveModel(call: Call, context: RouterContext): Promise<void> {
  const [path = ''] = call.head.url.split('?', 1);
  const id = decode(path.slice(MODELS_PATH.length + 1));
  const model = await choose(call, id, tableOf(context));
  call.sink.answer(JSON.stringify(renderModel(model)));
}

/** An answer without the table would deny models that are there. */
function tableOf({ clock, table, bounds: { tableWaitMsMax } }: RouterContext): TableOptions {
  return { clock, table, tableWaitMsMax };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw notFound(text);
  }
}

function renderModel({ servedName, createdSeconds, contextLength }: PolicyModel) {
  return {
    id: servedName,
    object: 'model',
    created: createdSeconds,
    owned_by: 'stoker',
    context_length: contextLength,
  };
}
