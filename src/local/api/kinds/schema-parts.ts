// Short ways to write the schemas of the built-in kinds.
import type { Schema } from '../definition.ts';

export const text = (description: string, more: Partial<Schema> = {}): Schema => ({
  type: 'string',
  description,
  ...more,
});
export const flag = (description: string): Schema => ({ type: 'boolean', description });
export const count = (description: string, minimum = 0): Schema => ({
  type: 'integer',
  format: 'int32',
  minimum,
  description,
});
export const time = (description: string): Schema => ({
  type: 'string',
  format: 'date-time',
  nullable: true,
  description,
});

export const list = (items: Schema, description: string): Schema => ({
  type: 'array',
  nullable: true,
  items,
  description,
});

export const object = (
  description: string,
  properties: Readonly<Record<string, Schema>>,
  required: readonly string[] = [],
): Schema => ({ type: 'object', description, properties, ...(required.length > 0 ? { required } : {}) });

export const textMap = (description: string, more: Partial<Schema> = {}): Schema => ({
  type: 'object',
  nullable: true,
  additionalProperties: { type: 'string' },
  description,
  ...more,
});

/** An object whose members are not looked at. */
export const anything = (description: string): Schema => ({
  type: 'object',
  description,
  'x-kubernetes-preserve-unknown-fields': true,
});

/** The frame of a whole object around its own fields. */
export function wholeObject(
  description: string,
  fields: Readonly<Record<string, Schema>>,
  required: readonly string[] = [],
): Schema {
  const frame = {
    apiVersion: text('The group and version of this kind.'),
    kind: text('The kind of this object.'),
    metadata: { type: 'object' },
  };
  return object(description, { ...frame, ...fields }, required);
}
