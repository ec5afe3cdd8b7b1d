// Objects as rows for people: the metav1.Table that kubectl asks for in lists, single reads and watch events. Columns
// come from the kind's definition; a cell that has nothing to show is null.
import type { ApiObject, Cell, PrinterColumn, ResourceDefinition } from './definition.ts';
import { renderAge } from './human-duration.ts';
import { type JsonPath, parseJsonPath, readJsonPath } from './json-path.ts';

/** How much of the object a row carries (`includeObject`). */
export type RowObject = 'None' | 'Metadata' | 'Object';

export interface TableRenderer {
  /** `metadata` is the list's; `withColumns` is off for watch events after the first. */
  render(objects: readonly ApiObject[], options: TableOptions): object;
}

export interface TableOptions {
  readonly nowMs: number;
  readonly include: RowObject;
  readonly metadata: object;
  readonly withColumns: boolean;
}

interface Column {
  readonly definition: object;
  read(object: ApiObject, nowMs: number): Cell;
}

const nameColumn: Column = {
  definition: {
    name: 'Name',
    type: 'string',
    format: 'name',
    description: 'The name, unique within a namespace.',
    priority: 0,
  },
  read: (object) => object.metadata.name,
};

const ageColumn: PrinterColumn = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'When the object was made.',
};

export function createTableRenderer(definition: ResourceDefinition): TableRenderer {
  const stated = definition.printerColumns.length === 0 ? [ageColumn] : definition.printerColumns;
  const columns = [nameColumn, ...stated.map(columnOf)];
  const columnDefinitions = columns.map((column) => column.definition);
  return {
    render: (objects, { nowMs, include, metadata, withColumns }) => ({
      kind: 'Table',
      apiVersion: 'meta.k8s.io/v1',
      metadata,
      columnDefinitions: withColumns ? columnDefinitions : [],
      rows: objects.map((object) => ({
        cells: columns.map((column) => column.read(object, nowMs)),
        ...rowObject(object, include),
      })),
    }),
  };
}

function columnOf({ name, type, jsonPath, priority, description, cell }: PrinterColumn): Column {
  const definition = { name, type, format: '', description: description ?? '', priority: priority ?? 0 };
  if (cell !== undefined) return { definition, read: cell };
  const path = parseJsonPath(jsonPath ?? '');
  return { definition, read: (object, nowMs) => readCell(path, type, { object, nowMs }) };
}

function readCell(path: JsonPath, type: string, { object, nowMs }: { object: ApiObject; nowMs: number }): Cell {
  const [value] = readJsonPath(path, object);
  if (value === undefined) return null;
  if (type === 'date') return renderAge(value, nowMs) ?? '<unknown>';
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  return JSON.stringify(value);
}

function rowObject(object: ApiObject, include: RowObject): object {
  if (include === 'None') return {};
  if (include === 'Object') return { object };
  const { metadata } = object;
  return { object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata } };
}
