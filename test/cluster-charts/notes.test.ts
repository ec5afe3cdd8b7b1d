// What NOTES say is true of what was installed. Helm prints them only where there is a cluster, so a copy of the chart has them
// as the text of a ConfigMap.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { helm } from '../support/helm.ts';

const SHOWN = 'templates/notes-shown.yaml';
const digest = `sha256:${'c'.repeat(64)}`;

describe('the notes of the chart', () => {
  let chart = '';

  before(() => {
    chart = mkdtempSync(join(tmpdir(), 'stoker-notes-'));
    cpSync(fileURLToPath(new URL('../../charts/stoker', import.meta.url)), chart, { recursive: true });
    const notes = readFileSync(join(chart, 'templates/NOTES.txt'), 'utf8');
    const text = notes.replaceAll(/^(?=.)/gm, '    ');
    writeFileSync(
      join(chart, SHOWN),
      `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: notes }\ndata:\n  text: |\n    Notes:\n${text}`,
    );
  });
  after(() => rmSync(chart, { recursive: true, force: true }));

  function notes(...set: readonly string[]): string {
    const flags = ['--namespace', 'llm', '--kube-version', '1.34.0', '--show-only', SHOWN];
    const { status, output } = helm('template', 'stoker', chart, ...flags, ...set.flatMap((pair) => ['--set', pair]));
    assert.equal(status, 0, output);
    return (parse(output) as { data: { text: string } }).data.text;
  }

  it('warn of each image that has no digest', () => {
    const warnings = (text: string) => [...text.matchAll(/set ([\w.]+digest)\.$/gm)].map(([, value]) => value);
    assert.deepEqual(warnings(notes()), ['image.digest', 'slots.image.digest']);
    assert.deepEqual(warnings(notes(`image.digest=${digest}`)), ['slots.image.digest']);
    assert.deepEqual(warnings(notes(`image.digest=${digest}`, `slots.image.digest=${digest}`)), []);
  });

  it('say of helm test what it does', () => {
    const about = (...set: readonly string[]) => /^helm test[\s\S]*$/m.exec(notes(...set))?.[0] ?? '';
    assert.match(about(), /asks the router and the API server, and makes nothing\./);
    assert.match(about('rbac.create=false'), /asks the router, and makes nothing\./);
    for (const one of ['demoModel', 'simulatedModel']) {
      assert.match(about(`tests.${one}.enabled=true`), /makes a Pool and a small Model/);
    }
    assert.equal(about('tests.enabled=false'), '');
  });
});
