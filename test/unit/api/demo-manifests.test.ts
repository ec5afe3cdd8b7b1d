// The demo that ships: its manifests are valid, and the weights are the ones that their page describes.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseManifest } from '../../../src/api/manifest.ts';
import { modelSpecSchema } from '../../../src/api/model.ts';

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url));

for (const [file, kind, name] of [
  ['pool', 'Pool', 'default'],
  ['model', 'Model', 'demo'],
] as const) {
  test(`manifests/demo/${file}.yaml`, () => {
    const { objects, errors } = parseManifest(read(`manifests/demo/${file}.yaml`).toString('utf8'), file);
    assert.deepEqual(errors, []);
    assert.deepEqual(
      objects.map((entry) => [entry.kind, entry.object.metadata.name]),
      [[kind, name]],
    );
  });
}

test('the weights of the demo are there, and are what models/README.md says', () => {
  const { objects } = parseManifest(read('manifests/demo/model.yaml').toString('utf8'), 'model.yaml');
  const { version } = modelSpecSchema.parse(objects[0]?.object.spec);
  const digest = createHash('sha256')
    .update(read(version.weights?.file?.path ?? ''))
    .digest('hex');
  assert.ok(read('models/README.md').includes(digest));
});
