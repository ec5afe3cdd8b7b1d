// What the guides say is there: files, links, settings, objects that our own rules accept.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parseManifest } from '../../../src/api/manifest.ts';
import { settingTable } from '../../../src/api/settings.ts';
import { GUIDES, placeHere } from '../../e2e/guide-walk.ts';
import { findBlocks, findCommands, readGuides } from '../../support/guide-blocks.ts';

const root = new URL('../../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const guides = readGuides();

function requireValid(text: string, where: string): number {
  const { objects, errors } = parseManifest(text, where);
  assert.deepEqual(errors, []);
  return objects.length;
}

describe('the guides', () => {
  it('are the ones that the README names', () => {
    assert.deepEqual(guides.map(({ name }) => name).sort(), [
      'first-model.md',
      'gpu-nodes.md',
      'install.md',
      'kind.md',
      'sizing.md',
      'troubleshooting.md',
      'uninstall.md',
      'upgrade.md',
      'warm-pools.md',
    ]);
  });

  it('link to files that are there', () => {
    const links = guides.flatMap(({ name, text }) =>
      [...text.matchAll(/\]\(([^)#]+)/g)].map(([, target = '']) => ({ name, target })),
    );
    assert.ok(links.length > 10);
    for (const { name, target } of links) {
      if (target.startsWith('https://')) continue;
      assert.ok(existsSync(new URL(target, new URL('docs/guides/', root))), `${name}: ${target}`);
    }
  });

  it('name files of this repository that are there', () => {
    const paths = guides.flatMap(({ text }) =>
      [...text.matchAll(/\b(?:charts|manifests)\/[\w./-]*\w/g)].map(([path]) => path),
    );
    assert.ok(paths.length > 10);
    for (const path of paths) assert.ok(existsSync(new URL(path, root)), path);
  });

  it('show objects that the rules accept', () => {
    const blocks = guides.flatMap((guide) => findBlocks(guide, 'yaml').map((text) => ({ text, name: guide.name })));
    assert.ok(blocks.length > 0);
    for (const { text, name } of blocks) assert.ok(requireValid(text, name) > 0, name);
  });

  it('are run by a test, each that has commands', () => {
    for (const guide of guides.filter((one) => findCommands(one).length > 0)) {
      const own = `test/integration/guide-${guide.name.replace('.md', '.test.ts')}`;
      assert.ok(GUIDES.includes(guide.name) || existsSync(new URL(own, root)), guide.name);
    }
  });

  it('are run on ports and in a folder of the test, and change nothing of the person who runs it', () => {
    const commands = guides.filter(({ name }) => GUIDES.includes(name)).flatMap(findCommands);
    const places = { port: 30_001, adminPort: 30_002, folder: '/tmp/places' };
    const placed = commands.map((line) => placeHere(line, places)).join('\n');
    assert.doesNotMatch(placed, /127\.0\.0\.1:808\d|[ "]808\d:808\d|~\/|[ =]admin-token/);
    assert.match(placed, / 30001:8080 &$/m);
    assert.match(placed, / 30002:8081 &$/m);
    assert.match(placed, /base64 -d > \/tmp\/places\/admin-token$/m);
    assert.match(placed, /http:\/\/127\.0\.0\.1:30002 STOKER_CONTROLLER_TOKEN_FILE=\/tmp\/places\/admin-token npx/);
  });

  it('use variables that are settings or known to the commands', () => {
    const settings = new Set<string>(Object.values(settingTable).map(({ variable }) => variable));
    const reference = read('docs/reference/settings.md');
    for (const guide of guides) {
      for (const [name] of findCommands(guide)
        .join('\n')
        .matchAll(/\bSTOKER_\w+/g)) {
        assert.ok(settings.has(name) || reference.includes(`\`${name}\``), `${guide.name}: ${name}`);
      }
    }
  });
});

describe('manifests/kind', () => {
  for (const file of ['pool', 'model']) {
    it(`${file}.yaml is valid`, () => {
      assert.equal(requireValid(read(`manifests/kind/${file}.yaml`), `${file}.yaml`), 1);
    });
  }

  it('serves the weights that the image stoker-llama brings', () => {
    assert.match(read('manifests/kind/model.yaml'), /path: \/app\/models\/stoker-demo-1m\.gguf\n/);
    assert.match(read('Dockerfile'), /\nWORKDIR \/app\n/);
    assert.ok(existsSync(new URL('models/stoker-demo-1m.gguf', root)));
  });
});
