// Builds the images of the end-to-end tests without a registry and without Docker: `node scripts/cluster-images/build.ts`.
// A base with Node and npm comes from the distribution's own packages, once; on it stands our Dockerfile, as it is. Prints
// the archives as JSON; all else goes to standard error. Needs root, buildah, debootstrap and Go.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const cache = process.env.STOKER_IMAGE_CACHE ?? join(repository, '.cache/cluster-images');
const SUITE = 'bookworm';
const MIRROR = process.env.STOKER_DEBIAN_MIRROR ?? 'http://deb.debian.org/debian';
const BUILD_MS_MAX = 900_000;
const BASE = 'localhost/stoker-base:1';
const PAUSE_IMAGE = 'stoker.dev/pause:1';

function say(text: string): void {
  process.stderr.write(`cluster-images: ${text}\n`);
}

function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd: repository,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    timeout: BUILD_MS_MAX,
  });
  if (error !== undefined) throw new Error(`${program} cannot be run: ${error.message}`);
  if (status !== 0)
    throw new Error(`${program} ${args.join(' ')} ended with ${status}:\n${(stderr || stdout).slice(-4000)}`);
  return stdout;
}

/** With a store of its own, so that images of the machine are neither used nor touched. */
function buildah(...args: readonly string[]): string {
  const store = ['--root', join(cache, 'store'), '--runroot', join(cache, 'run'), '--storage-driver', 'overlay'];
  return run('buildah', [...store, ...args], { BUILDAH_ISOLATION: 'chroot' });
}

function hasImage(name: string): boolean {
  return buildah('images', '--format', '{{.Name}}:{{.Tag}}').split('\n').includes(name);
}

/** The folder of the base: a small Debian, this project's Node, the machine's npm and the certificates that it trusts. */
function makeBaseFolder(): string {
  const folder = join(cache, 'base');
  if (existsSync(folder)) return folder;
  const partial = `${folder}.partial`;
  rmSync(partial, { recursive: true, force: true });
  say('a base from the distribution (once)');
  run('debootstrap', ['--variant=minbase', '--include=ca-certificates', SUITE, partial, MIRROR]);
  cpSync(realpathSync(process.execPath), join(partial, 'usr/local/bin/node'));
  const npm = dirname(dirname(realpathSync(run('sh', ['-c', 'command -v npm']).trim())));
  cpSync(npm, join(partial, 'usr/local/lib/node_modules/npm'), { recursive: true });
  run('ln', ['-s', '../lib/node_modules/npm/bin/npm-cli.js', join(partial, 'usr/local/bin/npm')]);
  const trusted = process.env.NODE_EXTRA_CA_CERTS;
  if (trusted) cpSync(trusted, join(partial, 'etc/ssl/certs/ca-certificates.crt'));
  for (const dead of ['var/cache/apt', 'var/lib/apt/lists', 'usr/share/doc', 'usr/share/man']) {
    rmSync(join(partial, dead), { recursive: true, force: true });
  }
  renameSync(partial, folder);
  return folder;
}

function ensureBase(): void {
  if (hasImage(BASE)) return;
  const folder = makeBaseFolder();
  const file = join(cache, 'Dockerfile.base');
  writeFileSync(
    file,
    'FROM scratch\nCOPY . /\nENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt\nCMD ["node"]\n',
  );
  buildah('bud', '-f', file, '-t', BASE, folder);
}

function buildPause(): string {
  const archive = join(cache, 'pause.tar');
  if (existsSync(archive)) return archive;
  const folder = join(cache, 'pause');
  mkdirSync(folder, { recursive: true });
  const go = run(join(repository, 'scripts/ensure-go.sh'), []).trim();
  const env = { CGO_ENABLED: '0', GOFLAGS: '', PATH: [go, process.env.PATH ?? ''].join(delimiter) };
  const source = join(repository, 'scripts/cluster-images/pause.go');
  run('go', ['build', '-ldflags', '-s -w', '-o', join(folder, 'pause'), source], env);
  const file = join(cache, 'Dockerfile.pause');
  writeFileSync(file, 'FROM scratch\nCOPY pause /pause\nENTRYPOINT ["/pause"]\n');
  buildah('bud', '-f', file, '-t', PAUSE_IMAGE, folder);
  return push(PAUSE_IMAGE, archive);
}

/** Appears under its name only when it is whole. */
function push(image: string, archive: string): string {
  rmSync(`${archive}.partial`, { force: true });
  buildah('push', '--quiet', image, `oci-archive:${archive}.partial:${image}`);
  renameSync(`${archive}.partial`, archive);
  return archive;
}

/** An image as Models name one: by the digest of its archive. */
interface DigestImage {
  readonly archive: string;
  readonly name: string;
}

function nameByDigest(name: string, archive: string): DigestImage {
  const index = JSON.parse(run('tar', ['-xOf', archive, 'index.json'])) as { manifests: { digest: string }[] };
  return { archive, name: `${name}@${index.manifests[0]?.digest ?? ''}` };
}

function buildEngine(): DigestImage {
  const image = 'stoker.dev/imitated-vllm';
  const file = 'scripts/cluster-images/Dockerfile.engine';
  const context = 'test/support/fake-engines';
  buildah('bud', '--layers', '--build-arg', `BASE=${BASE}`, '-f', file, '-t', `${image}:1`, context);
  return nameByDigest(image, push(`${image}:1`, join(cache, 'engine.tar')));
}

function buildTarget(target: string, release: string): string {
  const startedMs = performance.now();
  const image = `stoker.dev/${target}:${release}`;
  buildah('bud', '--layers', '--build-arg', `BASE=${BASE}`, '--target', target, '-t', image, '.');
  const archive = push(image, join(cache, `${target}.tar`));
  const mib = Math.round(statSync(archive).size / 2 ** 20);
  say(`${image} in ${Math.round((performance.now() - startedMs) / 1000)} s, ${mib} MiB with its base as an archive`);
  return archive;
}

try {
  const release = (JSON.parse(run('cat', ['package.json'])) as { version: string }).version;
  mkdirSync(cache, { recursive: true });
  ensureBase();
  const pause = buildPause();
  const images = {
    pause: { archive: pause, name: PAUSE_IMAGE },
    // The second holds no shell and no C library, so that nothing of ours runs in it.
    engines: { vllm: buildEngine(), unusable: nameByDigest('stoker.dev/pause', pause) },
    archives: ['stoker', 'stoker-llama'].map((target) => buildTarget(target, release)),
  };
  process.stdout.write(`${JSON.stringify(images)}\n`);
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
