// `stoker get KIND [NAME]`: the server's own columns as a table, or the objects as JSON.
import { z } from 'zod';
import { CommandError, type CommandIo, type OutputFormat, writeJson } from './io.ts';
import { expectSuccess, kindOfWord, type ObjectApi, pathOf } from './object-api.ts';
import { renderTable } from './table.ts';

const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';

const tableSchema = z.object({
  columnDefinitions: z.array(z.object({ name: z.string(), priority: z.int().optional() })),
  rows: z.array(z.object({ cells: z.array(z.unknown()) })).nullish(),
});

export async function getObjects(
  io: CommandIo,
  api: ObjectApi,
  what: { kind: string; name: string | undefined; output: OutputFormat },
): Promise<void> {
  const path = pathOf(api, kindOfWord(what.kind), what.name);
  if (what.output === 'json') {
    writeJson(io, expectSuccess(await api.send({ method: 'GET', path })));
    return;
  }
  const body = expectSuccess(await api.send({ method: 'GET', path, headers: { accept: TABLE } }));
  const parsed = tableSchema.safeParse(body);
  if (!parsed.success) throw new CommandError('The server did not answer with a table. Try --output json.');
  const table = parsed.data;
  const rows = table.rows ?? [];
  if (rows.length === 0) {
    io.complain(`There are no ${what.kind} in ${api.namespace}.\n`);
    return;
  }
  const shown = table.columnDefinitions.flatMap((column, at) => ((column.priority ?? 0) === 0 ? [at] : []));
  const header = shown.map((at) => (table.columnDefinitions[at]?.name ?? '').toUpperCase());
  io.write(
    renderTable(
      header,
      rows.map((row) => shown.map((at) => renderCell(row.cells[at]))),
    ),
  );
}

function renderCell(cell: unknown): string {
  if (cell === null || cell === undefined) return '';
  return typeof cell === 'object' ? JSON.stringify(cell) : String(cell);
}
