// Which Secret a stager gets: the one that its revision was pinned with, whatever the Model names by now; and what becomes of
// revisions that an earlier release pinned, without a word about their Secret.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { kinds, type Pod, type Secret } from '../../../src/api/kinds.ts';
import { SOURCE_SECRET_ANNOTATION } from '../../../src/controller/source-secret.ts';
import { VERSION_ANNOTATION } from '../../../src/controller/version-key.ts';
import { fail, ok } from '../../../src/lib/result.ts';
import { createLab, type Lab } from '../../support/controller-lab.ts';

const OLD_HOST = 'https://mine.example';
const sha256 = 'c'.repeat(64);

let lab: Lab;
afterEach(() => lab.stop());

/** A source is where its Model says; the file is everywhere the same. */
async function begin(secretName?: string) {
  lab = await createLab({ slotPods: { image: 'registry.example/stoker:1', pullPolicy: 'Always', pullSecrets: [] } });
  lab.answerSources(({ hub }) =>
    ok({
      source: 'Hub',
      files: [{ path: 'tiny.gguf', url: `${hub?.endpoint}/tiny.gguf`, sizeBytes: 5_000_000, sha256 }],
    }),
  );
  const { read } = lab.cluster;
  lab.cluster.read = (kind, name, signal) =>
    name === 'payroll'
      ? Promise.resolve(fail({ reason: 'Forbidden', message: 'secrets "payroll" is forbidden' }))
      : read(kind, name, signal);
  for (const name of ['hub', 'newer', 'payroll']) {
    lab.cluster.put<Secret>(kinds.Secret, name, {});
    lab.cluster.change(kinds.Secret, name, { data: { token: Buffer.from(name).toString('base64') } });
  }
  lab.pool('default', { weights: { claimName: 'models' } });
  lab.model('tiny', { version: versionOf(OLD_HOST, secretName) });
  await lab.pass(500);
}

const versionOf = (endpoint: string, credentialsSecretName?: string) => ({
  weights: {
    hub: { repo: 'acme/tiny', endpoint },
    ...(credentialsSecretName === undefined ? {} : { credentialsSecretName }),
  },
  contextLength: 512,
});

async function change(endpoint: string, credentialsSecretName: string | null) {
  const weights = { hub: { repo: 'acme/tiny', endpoint }, credentialsSecretName };
  lab.cluster.change(kinds.Model, 'tiny', { spec: { version: { weights } } });
  await lab.pass(1000);
}

function stager(): Pod {
  const isStager = ({ metadata }: Pod) => metadata.labels?.['stoker.dev/stages'] !== undefined;
  return lab.cluster.list(kinds.Pod).find(isStager) ?? assert.fail('there is no stager');
}

function secretsOf(pod: Pod): string[] {
  const env = pod.spec.containers[0]?.env ?? [];
  return [...new Set(env.flatMap(({ valueFrom }) => valueFrom?.secretKeyRef?.name ?? []))];
}

/** The one that runs fails, and the next one comes. */
async function nextStager(reason = 'SourceUnreachable'): Promise<Pod> {
  const { name, uid } = stager().metadata;
  const terminated = {
    exitCode: 1,
    finishedAt: new Date(lab.clock.wallMs()).toISOString(),
    message: JSON.stringify({ reason, message: 'The source gave nothing.' }),
  };
  const containerStatuses = [{ name: 'stager', ready: false, restartCount: 0, state: { terminated } }];
  lab.cluster.setPodStatus(name, { phase: 'Failed', containerStatuses });
  await lab.pass(300);
  const isNext = ({ metadata }: Pod) => metadata.labels?.['stoker.dev/stages'] !== undefined && metadata.uid !== uid;
  for (let tries = 0; tries < 200 && !lab.cluster.list(kinds.Pod).some(isNext); tries += 1) await lab.pass(500);
  assert.notEqual(stager().metadata.uid, uid, 'no other stager came');
  return stager();
}

function revision() {
  const [only, ...more] = lab.cluster.list(kinds.ModelRevision);
  assert.equal(more.length, 0);
  return only ?? assert.fail('there is no revision');
}

const annotate = (annotations: object) =>
  lab.cluster.change(kinds.ModelRevision, revision().metadata.name, { metadata: { annotations } });
const conditionOf = (type: string) =>
  lab.cluster.must(kinds.Model, 'tiny').status?.conditions?.find((one) => one.type === type);

describe('a stager', () => {
  test('never gets a Secret that the controller may not read, whose name came after its source was pinned', async () => {
    await begin();
    assert.deepEqual(secretsOf(stager()), []);
    await change(OLD_HOST, 'payroll');
    assert.equal(conditionOf('Pinned')?.reason, 'SecretForbidden');
    assert.match(
      conditionOf('Pinned')?.message ?? '',
      /^The controller may not read the Secret payroll\. Name it in rbac/,
    );
    assert.deepEqual(secretsOf(await nextStager()), []);
    await lab.restart();
    assert.deepEqual(secretsOf(await nextStager()), []);
  });

  test('gets another Secret once the source was asked with it, and none when it was asked with none', async () => {
    await begin('hub');
    assert.deepEqual(secretsOf(stager()), ['hub']);
    await change(OLD_HOST, 'newer');
    assert.deepEqual(secretsOf(await nextStager()), ['newer']);
    await change(OLD_HOST, null);
    assert.deepEqual(secretsOf(await nextStager()), []);
    assert.equal(revision().metadata.annotations?.[SOURCE_SECRET_ANNOTATION], '');
  });

  test('gets no Secret of another address, though the files are the same there', async () => {
    await begin('hub');
    await change('https://another.example', 'newer');
    assert.equal(conditionOf('Pinned')?.status, 'True');
    assert.match(revision().spec.weights?.fileSet?.files[0]?.url ?? '', /^https:\/\/mine\.example/);
    assert.deepEqual(secretsOf(await nextStager()), ['hub']);
  });

  test("gets the Secret of a revision that an earlier release pinned, while the Model's version is that one", async () => {
    await begin('hub');
    annotate({ [SOURCE_SECRET_ANNOTATION]: null });
    lab.answerSources(() => assert.fail('an upgrade asks no source again'));
    await lab.restart();
    assert.deepEqual(secretsOf(await nextStager()), ['hub']);
    assert.equal(lab.cluster.list(kinds.ModelRevision).length, 1);
  });

  test('gets none where it cannot be known which was meant, and says what to do when access is refused', async () => {
    await begin('hub');
    annotate({ [SOURCE_SECRET_ANNOTATION]: null, [VERSION_ANNOTATION]: 'of another version' });
    await change(OLD_HOST, 'payroll');
    const next = await nextStager();
    assert.deepEqual(secretsOf(next), []);
    assert.doesNotMatch(conditionOf('Ready')?.message ?? '', /earlier release/);
    await nextStager('AccessDenied');
    const told = lab.cluster.events.filter(({ reason }) => reason === 'AccessDenied');
    assert.match(told[0]?.message ?? '', /did not note its Secret\. Set spec\.version of the Model back/);
  });
});
