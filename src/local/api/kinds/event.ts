// Events of core/v1: what happened to an object, for `kubectl describe`, `get events` and `events`.
import type { ApiObject, Problem, ResourceDefinition, Schema } from '../definition.ts';
import { renderAge } from '../human-duration.ts';
import { asText, valueAt } from '../json-value.ts';
import { count, object, text, time, wholeObject } from './schema-parts.ts';

const REFERENCE_FIELDS = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'] as const;
const MESSAGE_CHARS_MAX = 1024;

const reference = (description: string): Schema =>
  object(description, Object.fromEntries(REFERENCE_FIELDS.map((field) => [field, text(`Its ${field}.`)])));

export const eventDefinition: ResourceDefinition = {
  group: '',
  version: 'v1',
  kind: 'Event',
  plural: 'events',
  singular: 'event',
  shortNames: ['ev'],
  namespaced: true,
  schema: wholeObject(
    'Something that happened to an object. Kept for an hour.',
    {
      involvedObject: reference('What it happened to.'),
      related: reference('What else took part.'),
      type: text('Normal or Warning.'),
      reason: text('One CamelCase word.', { maxLength: 128 }),
      message: text('A sentence for people.', { maxLength: MESSAGE_CHARS_MAX }),
      count: count('How often it happened.'),
      firstTimestamp: time('When it happened first.'),
      lastTimestamp: time('When it happened last.'),
      eventTime: time('When it happened.'),
      source: object('Who says it.', { component: text('The program.'), host: text('The node.') }),
      action: text('What was done.'),
      reportingComponent: text('The program that says it.'),
      reportingInstance: text('Which one of them.'),
      series: object('Equal events.', { count: count('How often.'), lastObservedTime: time('When last.') }),
    },
    ['involvedObject'],
  ),
  printerColumns: [
    { name: 'Last Seen', type: 'string', description: 'When it happened last.', cell: lastSeenCell },
    { name: 'Type', type: 'string', jsonPath: '.type', description: 'Normal or Warning.' },
    { name: 'Reason', type: 'string', jsonPath: '.reason', description: 'One CamelCase word.' },
    { name: 'Object', type: 'string', description: 'What it happened to.', cell: objectCell },
    { name: 'Source', type: 'string', jsonPath: '.source.component', priority: 1, description: 'Who says it.' },
    { name: 'Message', type: 'string', jsonPath: '.message', description: 'A sentence for people.' },
    {
      name: 'First Seen',
      type: 'date',
      jsonPath: '.firstTimestamp',
      priority: 1,
      description: 'When it happened first.',
    },
    { name: 'Count', type: 'integer', jsonPath: '.count', priority: 1, description: 'How often it happened.' },
    { name: 'Name', type: 'string', jsonPath: '.metadata.name', priority: 1, description: 'The name of the event.' },
  ],
  subresources: {},
  selectableFields: [
    ...REFERENCE_FIELDS.map((field) => `involvedObject.${field}`),
    'reason',
    'reportingComponent',
    'source.component',
    'type',
  ],
  validate: judgeNamespace,
  builtIn: { countsGenerations: false, unconditionalUpdate: true },
};

function judgeNamespace(event: unknown): readonly Problem[] {
  const home = asText(valueAt(event, ['metadata', 'namespace']));
  const involved = asText(valueAt(event, ['involvedObject', 'namespace'])) ?? '';
  if (involved === home || (involved === '' && home === 'default')) return [];
  return [{ path: 'involvedObject.namespace', message: 'does not match event.namespace' }];
}

function lastSeenCell(event: ApiObject, nowMs: number): string {
  const series = valueAt(event, ['series', 'lastObservedTime']);
  return (
    renderAge(series ?? event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp, nowMs) ??
    '<unknown>'
  );
}

function objectCell(event: ApiObject): string {
  const kind = asText(valueAt(event, ['involvedObject', 'kind'])) ?? '';
  return `${kind.toLowerCase()}/${asText(valueAt(event, ['involvedObject', 'name'])) ?? ''}`;
}
