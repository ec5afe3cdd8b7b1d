// Who serves weights, and how they are asked: signatures, redirects, the listing of a hub, the token of a registry.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import type { WeightSource } from '../../../src/api/weight-sources.ts';
import { createManualClock, systemClock } from '../../../src/lib/clock.ts';
import { createRng } from '../../../src/lib/rng.ts';
import { signHeaders } from '../../../src/stager/credentials.ts';
import { matchesPattern } from '../../../src/stager/list-hub.ts';
import { createSourceResolver } from '../../../src/stager/resolve-source.ts';
import { createSourceClient, nextUrl } from '../../../src/stager/source-client.ts';
import { stageFiles } from '../../../src/stager/stage.ts';
import { type FakeSource, madeBytes, sha256Of, startFakeSource } from '../../support/fake-source.ts';

const gguf = madeBytes(40_000);
const config = '{"architectures":["LlamaForCausalLM"],"max_position_embeddings":4096}';
const commit = 'c0ffee'.padEnd(40, '0');
let source: FakeSource;
beforeEach(async () => {
  source = await startFakeSource();
});
afterEach(() => source.close());

function resolve(what: WeightSource, credentials: Record<string, string> = {}) {
  return createSourceResolver(systemClock).resolveSource(what, credentials, AbortSignal.timeout(10_000));
}

describe('signatures', () => {
  test('S3: the example of the API reference', () => {
    const signer = {
      source: 'S3' as const,
      region: 'us-east-1',
      credentials: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' },
      clock: createManualClock(Date.parse('2013-05-24T00:00:00Z')),
    };
    const url = new URL('https://examplebucket.s3.amazonaws.com/test.txt');
    const { authorization } = signHeaders(signer, { method: 'GET', url, headers: { range: 'bytes=0-9' } });
    assert.equal(
      authorization,
      'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    );
  });

  test('without credentials nothing is signed', () => {
    for (const kind of ['Http', 'Hub', 'S3', 'Oci'] as const) {
      const signer = { source: kind, region: 'r', credentials: {}, clock: systemClock };
      assert.deepEqual(signHeaders(signer, { method: 'GET', url: new URL('http://a/b'), headers: {} }), {});
    }
  });
});

describe('redirects', () => {
  const from = new URL('https://hub.example/a');
  for (const [location, kept] of [
    ['https://cdn.example/x?sig=1', true],
    ['/b', true],
    ['http://hub.example/a', false],
    ['http://169.254.169.254/latest', false],
    ['https://169.254.169.254/latest', false],
    ['https://[fd00:ec2::254]/latest', false],
    ['https://user:pass@cdn.example/x', false],
    ['ftp://hub.example/a', false],
    ['http://[', false],
  ] as const) {
    test(`${location} is ${kept ? '' : 'not '}followed`, () => {
      assert.equal(nextUrl(from, { status: 302, headers: { location } }) !== undefined, kept);
    });
  }

  test('a token goes to no other origin', async () => {
    const other = await startFakeSource();
    try {
      other.contents.set('/x', gguf);
      source.redirects.set('/x', `${other.url}/x`);
      const client = createSourceClient({
        source: 'Http',
        region: '',
        credentials: { token: 'secret' },
        clock: systemClock,
      });
      await assert.rejects(client.ask({ url: `${source.url}/x` }, AbortSignal.timeout(5000)), /without https/);
      source.redirects.set('/x', '/y');
      source.contents.set('/y', gguf);
      (await client.ask({ url: `${source.url}/x` }, AbortSignal.timeout(5000))).body.destroy();
      await client.close();
      assert.deepEqual(
        source.asked.map(({ authorization }) => authorization),
        Array(3).fill('Bearer secret'),
      );
      assert.deepEqual(other.asked, []);
    } finally {
      await other.close();
    }
  });

  test('a ring of them ends', async () => {
    source.redirects.set('/x', '/x');
    const what = { http: { files: [{ url: `${source.url}/x`, sha256: 'a'.repeat(64) }] } };
    const resolved = await resolve(what);
    assert.match(resolved.ok ? '' : resolved.error.message, /more than 5 times/);
  });
});

describe('a hub', () => {
  const hub = (include?: string[]) => ({
    hub: { repo: 'acme/tiny', revision: 'main', endpoint: source.url, ...(include === undefined ? {} : { include }) },
  });
  const serve = () => {
    const siblings = [
      { rfilename: '.gitattributes', size: 10 },
      { rfilename: 'README.md', size: 10 },
      { rfilename: 'config.json', size: 12 },
      { rfilename: 'tiny.gguf', size: gguf.length, lfs: { sha256: sha256Of(gguf), size: gguf.length, pointerSize: 1 } },
      { rfilename: '../escape', size: 3 },
    ];
    source.contents.set('/api/models/acme/tiny/revision/main', Buffer.from(JSON.stringify({ sha: commit, siblings })));
    source.contents.set(`/acme/tiny/resolve/${commit}/config.json`, Buffer.from(config));
    source.contents.set(`/acme/tiny/resolve/${commit}/tiny.gguf`, gguf);
  };

  test('a branch becomes a commit, and every file a digest', async () => {
    serve();
    const resolved = await resolve(hub());
    assert.deepEqual(resolved, {
      ok: true,
      value: {
        fileSet: {
          source: 'Hub',
          files: [
            {
              path: 'config.json',
              url: `${source.url}/acme/tiny/resolve/${commit}/config.json`,
              sizeBytes: config.length,
              sha256: sha256Of(config),
            },
            {
              path: 'tiny.gguf',
              url: `${source.url}/acme/tiny/resolve/${commit}/tiny.gguf`,
              sizeBytes: gguf.length,
              sha256: sha256Of(gguf),
            },
          ],
        },
        description: { architecture: 'LlamaForCausalLM', trainedContextLength: 4096 },
      },
    });
  });

  test('patterns choose, and name nothing is said', async () => {
    serve();
    const resolved = await resolve(hub(['*.gguf']));
    assert.deepEqual(resolved.ok && resolved.value.fileSet.files.map(({ path }) => path), ['tiny.gguf']);
    const none = await resolve(hub(['*.bin']));
    assert.match(none.ok ? '' : none.error.message, /no file at main that hub.include names/);
  });

  test('the token is shown to it, and what it refuses is said', async () => {
    serve();
    source.wanted = (header) => header === 'Bearer hf_1';
    assert.equal((await resolve(hub(['*.gguf']), { token: 'hf_1\n' })).ok, true);
    const refused = await resolve(hub(), { token: 'hf_2' });
    assert.equal(refused.ok ? '' : refused.error.reason, 'AccessDenied');
    source.wanted = undefined;
    source.contents.clear();
    assert.equal((await resolve(hub())).ok, false);
  });

  test('an answer that is no listing is refused', async () => {
    for (const text of ['', '[]', '{"sha":"x","siblings":[]}', 'x'.repeat(9 * 1024 * 1024)]) {
      source.contents.set('/api/models/acme/tiny/revision/main', Buffer.from(text));
      const resolved = await resolve(hub());
      assert.equal(resolved.ok ? '' : resolved.error.reason, 'SourceRefused');
    }
  });

  test('patterns mean what a slow but plain reading means', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '/', '*'), maxLength: 10 });
    const plain = fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 10 });
    fc.assert(
      fc.property(plain, letters, (path, pattern) => {
        const expected = new RegExp(`^${pattern.split('*').join('.*')}$`).test(path);
        assert.equal(matchesPattern(path, pattern), expected);
      }),
    );
  });
});

describe('a registry', () => {
  const layer = (title: string | undefined, mediaType = 'application/octet-stream') => ({
    mediaType,
    digest: `sha256:${sha256Of(gguf)}`,
    size: gguf.length,
    annotations: title === undefined ? {} : { 'org.opencontainers.image.title': title },
  });
  const serve = (name: string, manifest: object) => {
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, ...manifest }));
    source.contents.set(`/v2/acme/tiny/manifests/${name}`, bytes);
    return `sha256:${sha256Of(bytes)}`;
  };
  const oci = (suffix: string) => ({
    oci: { reference: `${source.url.slice(7)}/acme/tiny${suffix}`, plainHttp: true },
  });

  test('a tag becomes the digests of its layers, with a token that was asked for', async () => {
    serve('v1', { layers: [layer('tiny.gguf')] });
    source.contents.set('/token', Buffer.from('{"token":"t1"}'));
    source.contents.set(`/v2/acme/tiny/blobs/sha256:${sha256Of(gguf)}`, gguf);
    const token = `Basic ${Buffer.from('me:pw').toString('base64')}`;
    source.wanted = (header) => header === 'Bearer t1' || header === token;
    const resolved = await resolve(oci(':v1'), { username: 'me', password: 'pw' });
    assert.ok(resolved.ok, JSON.stringify(resolved));
    assert.deepEqual(
      resolved.value.fileSet.files.map(({ path, sha256 }) => [path, sha256]),
      [['tiny.gguf', sha256Of(gguf)]],
    );
    const folder = mkdtempSync(join(tmpdir(), 'stoker-oci-'));
    const credentials = { username: 'me', password: 'pw' };
    const client = createSourceClient({ source: 'Oci', region: '', credentials, clock: systemClock });
    const common = {
      holder: { host: 'h', pid: 1 },
      isAlive: () => true,
      onProgress() {},
      clock: systemClock,
      rng: createRng(1),
    };
    const staged = await stageFiles(resolved.value.fileSet, { folder, client, ...common }, AbortSignal.timeout(10_000));
    assert.deepEqual(readFileSync(join(staged.path, 'tiny.gguf')), gguf);
    await client.close();
    rmSync(folder, { recursive: true });
    const refused = await resolve(oci(':v1'), { username: 'me', password: 'wrong' });
    assert.equal(refused.ok ? '' : refused.error.reason, 'AccessDenied');
  });

  test('a token service elsewhere is asked over https alone, and credentials stay here', async () => {
    const other = await startFakeSource();
    try {
      serve('v1', { layers: [layer('tiny.gguf')] });
      other.contents.set('/token', Buffer.from('{"token":"t1"}'));
      source.challenge = `Bearer realm="${other.url}/token",service="registry"`;
      source.wanted = (header) => header === 'Bearer t1';
      const resolved = await resolve(oci(':v1'), { username: 'me', password: 'pw' });
      assert.equal(resolved.ok ? '' : resolved.error.reason, 'AccessDenied');
      assert.deepEqual(other.asked, []);
    } finally {
      await other.close();
    }
  });

  test('a digest is held to what came', async () => {
    const digest = serve('v1', { layers: [layer('tiny.gguf')] });
    source.contents.set(`/v2/acme/tiny/manifests/${digest}`, source.contents.get('/v2/acme/tiny/manifests/v1') ?? gguf);
    assert.equal((await resolve(oci(`@${digest}`))).ok, true);
    source.contents.set(`/v2/acme/tiny/manifests/${digest}`, Buffer.from('{"layers":[]}'));
    const resolved = await resolve(oci(`@${digest}`));
    assert.equal(resolved.ok ? '' : resolved.error.reason, 'HashMismatch');
  });

  for (const [what, manifest, words] of [
    ['an archive', { layers: [layer('a', 'application/vnd.oci.image.layer.v1.tar+gzip')] }, /archive or has no name/],
    ['no name', { layers: [layer(undefined)] }, /archive or has no name/],
    ['a way out', { layers: [layer('../../etc/passwd')] }, /no plain path/],
    ['the same name twice', { layers: [layer('a'), layer('a')] }, /twice/],
    ['nothing', { layers: [] }, /no file/],
    [
      'several manifests',
      { manifests: [1, 2].map(() => ({ digest: `sha256:${'a'.repeat(64)}` })) },
      /names 2 manifests/,
    ],
    ['no manifest', { layers: 7 }, /no manifest/],
  ] as const) {
    test(`${what} is refused`, async () => {
      serve('v1', manifest);
      const resolved = await resolve(oci(':v1'));
      assert.match(resolved.ok ? '' : resolved.error.message, words);
    });
  }
});

describe('listed files', () => {
  test('an address gives its name and its size', async () => {
    source.contents.set('/a/tiny.gguf', gguf);
    const resolved = await resolve({
      http: { files: [{ url: `${source.url}/a/tiny.gguf?x=1`, sha256: sha256Of(gguf) }] },
    });
    assert.deepEqual(resolved.ok && resolved.value.fileSet.files.map(({ path, sizeBytes }) => [path, sizeBytes]), [
      ['tiny.gguf', 40_000],
    ]);
  });

  test('a config.json among them is read, up to a size, and held to its digest', async () => {
    const described = async (text: string, sha256 = sha256Of(text)) => {
      source.contents.set('/a/config.json', Buffer.from(text));
      return resolve({ http: { files: [{ url: `${source.url}/a/config.json`, sha256 }] } });
    };
    const known = await described(config);
    assert.equal(known.ok && known.value.description?.architecture, 'LlamaForCausalLM');
    for (const text of ['[]', '{', `{"architectures":["${'x'.repeat(200)}"]}`, config + ' '.repeat(2 ** 20)]) {
      const unknown = await described(text);
      assert.equal(unknown.ok && unknown.value.description, undefined, text.slice(0, 40));
    }
    const other = await described(config, 'a'.repeat(64));
    assert.match(other.ok ? '' : `${other.error.reason} ${other.error.message}`, /^HashMismatch .*config\.json/);
  });

  test('an address with a % that stands for nothing is refused for good', async () => {
    const resolved = await resolve({ http: { files: [{ url: `${source.url}/a%zz.gguf`, sha256: sha256Of(gguf) }] } });
    assert.match(
      resolved.ok ? '' : `${resolved.error.reason} ${resolved.error.message}`,
      /^PlanInvalid .*Set its path/,
    );
  });

  test('one without a name or a size is refused', async () => {
    const bare = await resolve({ http: { files: [{ url: `${source.url}/`, sha256: sha256Of(gguf) }] } });
    assert.match(bare.ok ? '' : bare.error.message, /Set its path/);
  });

  test('a store is asked with a signature', async () => {
    source.contents.set('/models/a%20b/tiny.gguf', gguf);
    source.wanted = (header) => header?.startsWith('AWS4-HMAC-SHA256 Credential=AK/') === true;
    const files = [{ key: 'a b/tiny.gguf', sha256: sha256Of(gguf) }];
    const s3 = { endpoint: source.url, bucket: 'models', region: 'eu', files };
    const resolved = await resolve({ s3 }, { accessKeyId: 'AK', secretAccessKey: 'SK' });
    assert.deepEqual(resolved.ok && resolved.value.fileSet.files[0]?.path, 'tiny.gguf');
    assert.equal(resolved.ok && resolved.value.fileSet.region, 'eu');
    const refused = await resolve({ s3 });
    assert.equal(refused.ok ? '' : refused.error.reason, 'AccessDenied');
  });
});
