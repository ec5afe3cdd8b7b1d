// Logging on pino: one JSON line an event. Fields pass an allow-list by type (see src/lib/log.ts): plain values only,
// so that an object with a secret in it cannot slip in. Never logs prompts, answers, keys or tokens.
import { pino } from 'pino';
import type { Log, LogFields } from '../lib/log.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Names of fields that are dropped whatever they hold: the second line of defence behind the typed fields. */
const secretName = /(authorization|token|secret|password|api[-_]?key|cookie|prompt|content|messages|body)/i;
const TEXT_CHARS_MAX = 2000;

/** Writes JSON lines to `write` (standard error by default). */
export function createLog(component: string, level: LogLevel, write?: (line: string) => void): Log {
  const sink = write === undefined ? pino.destination({ fd: 2, sync: true }) : { write };
  const logger = pino({ level, base: { component }, timestamp: pino.stdTimeFunctions.isoTime }, sink);
  return {
    debug: (fields, sentence) => logger.debug(allowedFields(fields), sentence),
    info: (fields, sentence) => logger.info(allowedFields(fields), sentence),
    warn: (fields, sentence) => logger.warn(allowedFields(fields), sentence),
    error: (fields, sentence) => logger.error(allowedFields(fields), sentence),
  };
}

/** Keeps plain values under names that do not sound like secrets; long texts are cut. */
export function allowedFields(fields: LogFields): LogFields {
  const kept: Record<string, string | number | boolean | null> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || secretName.test(name)) continue;
    if (typeof value === 'string') kept[name] = value.slice(0, TEXT_CHARS_MAX);
    else if (value === null || typeof value === 'number' || typeof value === 'boolean') kept[name] = value;
  }
  return kept;
}
