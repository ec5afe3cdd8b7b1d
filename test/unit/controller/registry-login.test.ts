// Which login of the Secrets that nodes pull with is shown to which registry.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseTaggedImage } from '../../../src/api/engine-image.ts';
import { kinds } from '../../../src/api/kinds.ts';
import { findLogin } from '../../../src/controller/registry-login.ts';
import { createMemoryCluster } from '../../support/memory-cluster.ts';

const signal = new AbortController().signal;
const base64 = (text: string) => Buffer.from(text).toString('base64');
const entry = (username: string) => ({ username, password: `${username}-pw` });

async function search(secrets: Record<string, Record<string, string>>, image: string, names = Object.keys(secrets)) {
  const cluster = createMemoryCluster(() => 0);
  for (const [name, data] of Object.entries(secrets)) {
    await cluster.create(kinds.Secret, { apiVersion: 'v1', kind: 'Secret', metadata: { name }, data });
  }
  const parsed = parseTaggedImage(image);
  assert.ok(parsed !== undefined);
  return findLogin(parsed, names, { cluster, signal });
}

const config = (auths: object) => ({ '.dockerconfigjson': base64(JSON.stringify({ auths })) });
const userFor = async (auths: object, image: string) =>
  (await search({ one: config(auths) }, image)).found?.login.username;

describe('the login for a registry', () => {
  for (const [key, image, isFound] of [
    ['registry.example.com', 'registry.example.com/vllm:1', true],
    ['https://registry.example.com/v2/', 'registry.example.com/vllm:1', true],
    ['registry.example.com', 'registry.example.com:5000/vllm:1', false],
    ['registry.example.com', 'registry.example.com.evil.example/vllm:1', false],
    ['*.example.com', 'registry.example.com/vllm:1', true],
    ['*.example.com', 'a.registry.example.com/vllm:1', false],
    ['*', 'registry.example.com/vllm:1', false],
    ['registry.example.com/team', 'registry.example.com/team/vllm:1', true],
    ['registry.example.com/team', 'registry.example.com/teams/vllm:1', false],
    ['https://index.docker.io/v1/', 'vllm/vllm-openai:1', true],
    ['docker.io', 'debian:1', true],
    ['docker.io', 'evil.example/debian:1', false],
  ] as const) {
    test(`${key} is ${isFound ? '' : 'not '}for ${image}`, async () => {
      assert.equal(await userFor({ [key]: entry('me') }, image), isFound ? 'me' : undefined);
    });
  }

  test('the entry that names the most goes first, and of the Secrets the first that has one', async () => {
    const image = 'r.example/team/vllm:1';
    assert.equal(await userFor({ 'r.example': entry('all'), 'r.example/team': entry('team') }, image), 'team');
    const secrets = { other: config({ 'x.example': entry('x') }), one: config({ 'r.example': entry('one') }) };
    const { found, unread } = await search(secrets, image, ['missing', 'other', 'one', 'never']);
    assert.deepEqual(found, { login: { username: 'one', password: 'one-pw' }, secretName: 'one' });
    assert.deepEqual(unread, ['missing']);
  });

  test('name and password in one text, and the older form of the Secret', async () => {
    const auth = base64('me:p:w');
    const expected = { username: 'me', password: 'p:w' };
    const read = async (data: Record<string, string>) => (await search({ one: data }, 'r.example/a:1')).found?.login;
    assert.deepEqual(await read(config({ 'r.example': { auth } })), expected);
    assert.deepEqual(await read({ '.dockercfg': base64(JSON.stringify({ 'r.example': { auth } })) }), expected);
  });

  test('whatever stands in a Secret, it is a login or none', async () => {
    const value = fc.oneof(
      fc.json(),
      fc.string(),
      fc.json().map((text) => `{"auths":${text}}`),
    );
    await fc.assert(
      fc.asyncProperty(value, fc.constantFrom('.dockerconfigjson', '.dockercfg'), async (text, name) => {
        const { found } = await search({ one: { [name]: base64(text) } }, 'r.example/a:1');
        assert.ok(found === undefined || found.secretName === 'one');
      }),
      { numRuns: 200 },
    );
  });
});
