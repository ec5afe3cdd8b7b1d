import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Model, modelSpecSchema } from '../../../src/api/model.ts';
import { findNameOwners, findServed } from '../../../src/controller/served-names.ts';
import { model } from '../../support/plain-objects.ts';

function made(name: string, second: number, metadata: object = {}): Model {
  const { spec, ...object } = model({ servedName: name }, name);
  const creationTimestamp = new Date(second * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
  return {
    ...object,
    metadata: { name, creationTimestamp, ...metadata },
    spec: modelSpecSchema.parse(spec),
  } as Model;
}

const namesOf = (models: Iterable<Model>) => [...models].map(({ metadata }) => metadata.name);

describe('Models that routers are told of', () => {
  const older = Array.from({ length: 998 }, (_, at) => made(`old-${at}`, at));

  test('are the oldest when there are more than a table takes, and by name among those of one second', () => {
    const young = ['d', 'b', 'c', 'a'].map((name) => made(name, 5000));
    const models = [...young, ...older];
    const served = findServed(models);
    assert.equal(served.size, 1000);
    assert.deepEqual(
      young.filter((one) => served.has(one)).map(({ metadata }) => metadata.name),
      ['b', 'a'],
    );
    assert.equal(findNameOwners(models).size, 1002, 'the others have their names');
    assert.deepEqual(new Set(namesOf(findServed(models.toReversed()))), new Set(namesOf(served)));
  });

  test('leave room for the next when one of them goes', () => {
    const models = [...older, made('a', 5000), made('b', 5000), made('c', 5000)];
    assert.equal(namesOf(findServed(models)).includes('c'), false);
    const gone = { deletionTimestamp: '2026-01-01T00:00:00Z' };
    const left = models.map((one) => (one.metadata.name === 'old-0' ? made('old-0', 0, gone) : one));
    assert.equal(namesOf(findServed(left)).includes('c'), true);
  });
});
