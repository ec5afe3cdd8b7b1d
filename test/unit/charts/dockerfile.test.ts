// What the images promise, as far as it can be read off the Dockerfile: no root, nothing from outside the lockfile, a
// program that gets its signals, and the files that a build needs.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');

interface Stage {
  readonly name: string;
  readonly from: string;
  readonly steps: readonly (readonly [string, string])[];
}

function parseStages(text: string): Stage[] {
  const lines = text
    .split('\n')
    .filter((line) => !line.startsWith('#') && line !== '')
    .join('\n')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n');
  const steps = lines.map((line): readonly [string, string] => [
    line.split(' ')[0] ?? '',
    line.slice(line.indexOf(' ') + 1),
  ]);
  const stages: { name: string; from: string; steps: (readonly [string, string])[] }[] = [];
  for (const step of steps) {
    const [, from = '', name = ''] = step[0] === 'FROM' ? (/^(\S+) AS (\S+)$/.exec(step[1]) ?? []) : [];
    if (name !== '') stages.push({ name, from, steps: [] });
    else stages.at(-1)?.steps.push(step);
  }
  return stages;
}

const stages = parseStages(read('Dockerfile'));
const stage = (name: string) => {
  const found = stages.find((one) => one.name === name);
  assert.ok(found !== undefined, `there is a stage ${name}`);
  return found;
};

/** The steps that an image is made of, its base stages first. */
function stepsOf(name: string): (readonly [string, string])[] {
  const { from, steps } = stage(name);
  return [...(stages.some((one) => one.name === from) ? stepsOf(from) : []), ...steps];
}

describe('the Dockerfile', () => {
  it('builds both images, the small one by default', () => {
    stage('stoker-llama');
    assert.equal(stages.at(-1)?.name, 'stoker');
  });

  for (const image of ['stoker', 'stoker-llama']) {
    it(`${image} runs as nobody in particular, gets its signals, and leaves probes to Kubernetes`, () => {
      const last = (word: string) => stepsOf(image).findLast(([name]) => name === word)?.[1];
      assert.equal(last('USER'), '65532:65532');
      assert.equal(last('ENTRYPOINT'), '["stoker"]');
      assert.equal(last('HEALTHCHECK'), undefined);
      assert.equal(last('STOPSIGNAL'), undefined);
    });

    it(`${image} says its release`, () => {
      const labels = stepsOf(image)
        .filter(([name]) => name === 'LABEL')
        .map(([, text]) => text)
        .join(' ');
      const { version } = JSON.parse(read('package.json')) as { version: string };
      assert.ok(labels.includes(`org.opencontainers.image.version="${version}"`));
    });
  }

  it('takes the base from outside, and pulls nothing else', () => {
    for (const { from } of stages)
      assert.ok(/^\$\{BASE\}$/.test(from) || stages.some(({ name }) => name === from), from);
  });

  it('gives the engine and the model to one image only', () => {
    const copies = (image: string) =>
      stepsOf(image)
        .filter(([name]) => name === 'COPY')
        .map(([, text]) => text);
    assert.ok(copies('stoker-llama').includes('models models'));
    assert.ok(!copies('stoker').some((text) => text.startsWith('models') || text.includes('llama-dependencies')));
  });

  it('copies only files that are there and that .dockerignore lets in', () => {
    const letIn = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const copied = stages
      .flatMap(({ steps }) => steps)
      .filter(([name, text]) => name === 'COPY' && !text.startsWith('--from'))
      .flatMap(([, text]) => text.split(' ').slice(0, -1));
    assert.ok(copied.length > 8);
    for (const path of copied) {
      assert.ok(existsSync(new URL(`../../../${path}`, import.meta.url)), path);
      assert.ok(
        letIn.some((allowed) => path === allowed || path.startsWith(`${allowed}/`)),
        `${path} is let in`,
      );
    }
    for (const path of letIn) assert.ok(copied.includes(path), `${path} is copied`);
  });
});
