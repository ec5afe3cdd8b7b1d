// Reads fields of a JSON body that nobody has checked: each reader gives the value, undefined when it is absent or null,
// or refuses with a sentence that names the field. Must never repeat a caller's value in a sentence.
import { Refusal } from './refusal.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

export function wrongField(param: string, sentence: string): Refusal {
  return new Refusal('invalid_request', sentence, param);
}

export function asObject(value: unknown): JsonObject | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return value as JsonObject; // An object that is no array: every key reads as unknown.
}

export function readNumber(body: JsonObject, param: string, low: number, high: number): number | undefined {
  const value = body[param];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isFinite(value) || value < low || value > high) {
    throw wrongField(param, `\`${param}\` must be a number from ${low} to ${high}.`);
  }
  return value;
}

export function readInteger(body: JsonObject, param: string, low: number, high: number): number | undefined {
  const value = body[param];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < low || value > high) {
    throw wrongField(param, `\`${param}\` must be a whole number from ${low} to ${high}.`);
  }
  return value;
}

export function readBoolean(body: JsonObject, param: string): boolean {
  const value = body[param];
  if (value === undefined || value === null) return false;
  if (typeof value !== 'boolean') throw wrongField(param, `\`${param}\` must be true or false.`);
  return value;
}

export function readArray(body: JsonObject, param: string, itemsMax: number): readonly unknown[] {
  const value = body[param];
  if (!Array.isArray(value)) throw wrongField(param, `\`${param}\` must be an array.`);
  if (value.length > itemsMax) throw wrongField(param, `\`${param}\` may hold at most ${itemsMax} items.`);
  return value as readonly unknown[]; // Array.isArray gives any[]; the items are unchecked.
}
