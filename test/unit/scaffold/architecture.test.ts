// docs/architecture.md walks by file names: each of them must be there.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '../../..');
const page = readFileSync(join(root, 'docs/architecture.md'), 'utf8');

test('every path on the page exists', () => {
  const named = [...page.matchAll(/`((?:src|docs|test)\/[^`\s]+)`/g)].map((match) => match[1] ?? '');
  assert.ok(named.length > 40, `only ${named.length} paths were found`);
  assert.deepEqual(
    named.filter((path) => !existsSync(join(root, path))),
    [],
  );
});
