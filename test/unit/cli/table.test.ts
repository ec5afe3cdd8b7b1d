// Columns line up, and short rows are filled.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderTable } from '../../../src/cli/table.ts';

test('columns are as wide as their widest cell, and lines have no blanks at their end', () => {
  assert.equal(
    renderTable(['NAME', 'RUNG'], [['a-long-name', 'Awake'], ['b']]),
    'NAME          RUNG\na-long-name   Awake\nb\n',
  );
});
