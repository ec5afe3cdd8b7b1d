// Text from elsewhere read as JSON where a wrong one is no more than missing. Whoever owes somebody a reason parses it itself.

export type JsonFields = Readonly<Record<string, unknown>>;

/** Undefined when it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    const parsed: unknown = JSON.parse(text);
    return parsed;
  } catch {
    return undefined;
  }
}

/** Undefined when it is not the JSON of an object. */
export function parseJsonObject(text: string): JsonFields | undefined {
  const parsed = parseJson(text);
  return isJsonObject(parsed) ? parsed : undefined;
}

export function isJsonObject(value: unknown): value is JsonFields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
