// docs/reference/engines.md says what the code does: every argument, field, source and figure of the tables is on it, and
// nothing that is not.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { engineArguments, thirdPartyEngines } from '../../../../src/api/engine-arguments.ts';
import { refusedFields } from '../../../../src/api/engine-fields.ts';
import { sleepRows } from '../../../../src/api/engine-sleep.ts';

const page = readFileSync(new URL('../../../../docs/reference/engines.md', import.meta.url), 'utf8');

/** The words in code marks of the row that begins with the engine, in the section of this title. */
function wordsOf(title: string, engine: string): string[] {
  const section = page.split(`\n## ${title}\n`)[1]?.split('\n## ')[0] ?? '';
  const row = section.split('\n').find((line) => line.startsWith(`| \`${engine}\` |`)) ?? '';
  return [...row.split('|')[2]!.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '');
}

for (const engine of thirdPartyEngines) {
  test(`the arguments of ${engine}`, () => {
    assert.deepEqual(wordsOf('Further arguments', engine), Object.keys(engineArguments[engine]).sort());
  });

  test(`the refused fields of ${engine}`, () => {
    assert.deepEqual(wordsOf('Fields that are refused', engine), [...refusedFields[engine]].sort());
  });
}

test('every issue that a verdict on sleep rests on is named', () => {
  const issues = sleepRows.flatMap(({ sources }) => sources.filter((source) => source.includes('#')));
  assert.deepEqual(
    issues.filter((issue) => !page.includes(issue)),
    [],
  );
  for (const row of sleepRows) assert.match(page, new RegExp(`\\| \`${row.engine}\` \\|.*\\| ${row.verdict}`));
});
