// What a container is given, and what it is refused: commands, variables, mounts, volumes, names that become paths.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { ContainerSpec, EnvVar, Pod, PodVolume } from '../../../../src/api/kinds.ts';
import { fail, ok } from '../../../../src/lib/result.ts';
import { chooseCommand } from '../../../../src/local/node/command.ts';
import { resolveEnvironment } from '../../../../src/local/node/environment.ts';
import { isMountPath, isPathName } from '../../../../src/local/node/pod-folder.ts';
import { isPod } from '../../../../src/local/node/pod-schema.ts';
import { refuseVolumes } from '../../../../src/local/node/token-volumes.ts';

const entryPoint = { command: '/node', args: ['/stoker.ts'] };

function container(more: Partial<ContainerSpec>): ContainerSpec {
  return { name: 'main', image: 'none', ...more };
}

function pod(spec: Partial<Pod['spec']> = {}): Pod {
  const metadata = { name: 'slot', namespace: 'default', uid: 'u-1' };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [container({})], ...spec } };
}

describe('commands', () => {
  const closed = { entryPoint, allowCommands: false };
  const open = { entryPoint, allowCommands: true };

  test('the agent is run by our own entry point, with its arguments', () => {
    const chosen = { ok: true, value: { command: '/node', args: ['/stoker.ts', 'agent', '--data-port', '0'] } };
    assert.deepEqual(
      chooseCommand(container({ command: ['stoker', 'agent'], args: ['--data-port', '0'] }), closed),
      chosen,
    );
  });

  test('everything else needs the switch', () => {
    for (const command of [
      ['sh'],
      ['/bin/stoker', 'agent'],
      ['stoker'],
      ['stoker', 'up'],
      ['stoker ', 'agent'],
      ['stoker', 'agent;sh'],
    ]) {
      assert.equal(chooseCommand(container({ command }), closed).ok, false, command.join(' '));
      assert.equal(chooseCommand(container({ command }), open).ok, true, command.join(' '));
    }
    assert.equal(chooseCommand(container({ args: ['stoker', 'agent'] }), closed).ok, false);
    for (const policy of [closed, open]) assert.equal(chooseCommand(container({}), policy).ok, false);
  });
});

describe('variables', () => {
  const resolve = (env: readonly EnvVar[]) =>
    resolveEnvironment(env, {
      pod: pod({ serviceAccountName: 'stoker-slot' }),
      podIp: '127.0.0.1',
      readSecret: async (name) =>
        name === 'keys'
          ? ok({ apiVersion: 'v1', kind: 'Secret', metadata: { name }, data: { a: 'aHVzaA==' } })
          : fail('there is none'),
    });
  const field = (fieldPath: string): EnvVar => ({ name: 'A', valueFrom: { fieldRef: { fieldPath } } });

  test('values, fields, Secrets', async () => {
    assert.deepEqual(
      await resolve([{ name: 'A', value: 'x' }, { name: 'B' }, { name: 'A', value: 'y' }]),
      ok({ A: 'y', B: '' }),
    );
    for (const [path, value] of [
      ['metadata.name', 'slot'],
      ['metadata.namespace', 'default'],
      ['metadata.uid', 'u-1'],
      ['status.podIP', '127.0.0.1'],
      ['spec.serviceAccountName', 'stoker-slot'],
    ] as const)
      assert.deepEqual(await resolve([field(path)]), ok({ A: value }));
    assert.deepEqual(
      await resolve([{ name: 'A', valueFrom: { secretKeyRef: { name: 'keys', key: 'a' } } }]),
      ok({ A: 'hush' }),
    );
  });

  test('what cannot be resolved is said, and no secret value is', async () => {
    const cases: [EnvVar, RegExp][] = [
      [field('metadata.labels'), /Variable A wants the field metadata\.labels/],
      [field('constructor'), /wants the field constructor/],
      [{ name: 'A', valueFrom: { secretKeyRef: { name: 'none', key: 'a' } } }, /wants the Secret none: there is none/],
      [{ name: 'A', valueFrom: { secretKeyRef: { name: 'keys', key: 'b' } } }, /the key b of the Secret keys/],
      [{ name: 'A', valueFrom: {} }, /comes from a source/],
      [{ name: 'A=B', value: 'x' }, /no name of a variable/],
      [{ name: 'A', value: 'x\0y' }, /zero byte/],
    ];
    for (const [variable, sentence] of cases) {
      const resolved = await resolve([variable]);
      assert.ok(!resolved.ok);
      assert.match(resolved.error, sentence);
      assert.doesNotMatch(resolved.error, /hush/);
    }
  });
});

describe('paths', () => {
  test('a name never leaves its folder', () => {
    for (const name of ['a', 'slot-1', 'a.b', '0f']) assert.ok(isPathName(name), name);
    for (const name of ['', '.', '..', 'a/b', '../a', 'a..b', 'A', '-a', 'a\0', 'a'.repeat(300)])
      assert.ok(!isPathName(name), name);
    fc.assert(fc.property(fc.string(), (name) => !isPathName(name) || !/[/\\\0]|\.\.|^\.|\.$/.test(name)));
  });

  test('a mount is an absolute path that stays where it says', () => {
    for (const path of ['/a', '/var/run/stoker/link', '/a/']) assert.ok(isMountPath(path), path);
    for (const path of ['', '/', 'a', './a', '/a/../b', '/..', '/../../a', '//a', '/a//b', '/a/.', '/a\0'])
      assert.ok(!isMountPath(path), path);
  });

  test('volumes', () => {
    const token = (path: string): PodVolume => ({
      name: 'a',
      projected: { sources: [{ serviceAccountToken: { audience: 'x', expirationSeconds: 600, path } }] },
    });
    for (const volume of [{ name: 'a', emptyDir: {} }, token('token'), token('b/token')])
      assert.equal(refuseVolumes(pod({ volumes: [volume] })), undefined);
    for (const volume of [
      { name: 'a' },
      { name: '../a', emptyDir: {} },
      token('../token'),
      token('/token'),
      token('a/../../b'),
      token(''),
    ])
      assert.notEqual(refuseVolumes(pod({ volumes: [volume] })), undefined, JSON.stringify(volume));
  });
});

test('what is no Pod is left alone', () => {
  assert.ok(isPod(pod()));
  assert.ok(isPod({ ...pod(), status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] } }));
  const broken = [
    null,
    {},
    { ...pod(), metadata: {} },
    { ...pod(), spec: {} },
    pod({ containers: [] }),
    { ...pod(), spec: { containers: [{ name: 1 }] } },
  ];
  for (const value of broken) assert.equal(isPod(value), false, JSON.stringify(value));
});
