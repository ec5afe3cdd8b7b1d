// The stager against a server on loopback: whole sets, cuts, wrong answers, a full disk, a killed process, two at once.
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type FileSet, fileSetDigest } from '../../../src/api/file-set.ts';
import { createFileDigests } from '../../../src/engine/file-digest.ts';
import { verifyWeights } from '../../../src/engine/verify-weights.ts';
import { verifyFolder } from '../../../src/engine/weights-folder.ts';
import { type Clock, createManualClock, systemClock } from '../../../src/lib/clock.ts';
import { createRng } from '../../../src/lib/rng.ts';
import { createSourceClient } from '../../../src/stager/source-client.ts';
import { isSealed, type StageOptions, stageFiles } from '../../../src/stager/stage.ts';
import { StageError } from '../../../src/stager/stage-error.ts';
import { type FakeSource, madeBytes, sha256Of, startFakeSource } from '../../support/fake-source.ts';

const KIB = 1024;
const contents = { 'model.gguf': madeBytes(300 * KIB), 'parts/tokenizer.json': madeBytes(5 * KIB, 7) };

let source: FakeSource;
let folder: string;

beforeEach(async () => {
  source = await startFakeSource();
  folder = mkdtempSync(join(tmpdir(), 'stoker-stage-'));
  for (const [path, bytes] of Object.entries(contents)) source.contents.set(`/${path}`, bytes);
});
afterEach(async () => {
  await source.close();
  rmSync(folder, { recursive: true, force: true });
});

function setOf(change: Partial<FileSet['files'][number]> = {}): FileSet {
  const files = Object.entries(contents).map(([path, bytes]) => ({
    path,
    url: `${source.url}/${path}`,
    sizeBytes: bytes.length,
    sha256: sha256Of(bytes),
  }));
  return { source: 'Http', files: files.map((file, at) => (at === 0 ? { ...file, ...change } : file)) };
}

/** Waits pass at once: the first timer that is set fires. */
function hastyClock(waits: number[]): Clock {
  return {
    ...systemClock,
    after(delayMs, fire, options) {
      if (delayMs >= 10_000 && options === undefined && delayMs % 10_000 === 0) return { cancel() {} };
      waits.push(delayMs);
      return systemClock.after(0, fire);
    },
  };
}

async function stage(set: FileSet, given: Partial<StageOptions> & { silenceMsMax?: number; token?: string } = {}) {
  const clock = given.clock ?? hastyClock([]);
  const credentials = given.token === undefined ? {} : { token: given.token };
  const silence = given.silenceMsMax === undefined ? {} : { silenceMsMax: given.silenceMsMax };
  const client = createSourceClient({ source: set.source, region: '', credentials, clock, ...silence });
  try {
    return await stageFiles(
      set,
      {
        folder,
        client,
        holder: { host: 'here', pid: 1 },
        isAlive: () => true,
        onProgress: () => {},
        chunkBytes: 64 * KIB,
        clock,
        rng: createRng(1),
        ...given,
      },
      AbortSignal.timeout(20_000),
    );
  } finally {
    await client.close();
  }
}

function refuses(reason: string, words: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof StageError, String(error));
    assert.equal(error.reason, reason);
    assert.match(error.message, words);
    return true;
  };
}

describe('staging', () => {
  test('brings every file, in ranges, and seals the folder', async () => {
    const seen: number[] = [];
    const staged = await stage(setOf(), { onProgress: (done) => seen.push(done) });
    assert.equal(staged.isNew, true);
    assert.equal(staged.path, join(folder, fileSetDigest(setOf().files)));
    for (const [path, bytes] of Object.entries(contents))
      assert.deepEqual(readFileSync(join(staged.path, path)), bytes);
    assert.ok(source.asked.filter(({ path }) => path === '/model.gguf').length >= 5);
    assert.equal(Math.max(...seen), 305 * KIB);
    assert.deepEqual(readdirSync(join(folder, '.partial')), []);
  });

  test('what is sealed is neither asked for nor read again', async () => {
    const { path } = await stage(setOf());
    source.asked.length = 0;
    assert.equal((await stage(setOf())).isNew, false);
    assert.deepEqual(source.asked, []);
    const digests = { digest: () => assert.fail('the file is read again') };
    const file = setOf().files[0];
    const pinned = {
      weightsPath: join(path, 'model.gguf'),
      weightsSizeBytes: 300 * KIB,
      weightsSha256: file?.sha256 ?? '',
    };
    await verifyWeights(pinned, digests, AbortSignal.timeout(5000));
    const whole = { weightsPath: path, weightsSizeBytes: 305 * KIB, weightsSha256: fileSetDigest(setOf().files) };
    await verifyFolder(whole, digests, AbortSignal.timeout(5000));
  });

  test('a sealed file that was changed is not trusted, and is staged anew', async () => {
    const { path } = await stage(setOf());
    writeFileSync(join(path, 'model.gguf'), madeBytes(300 * KIB, 9));
    assert.equal(await isSealed(path, setOf().files), false);
    const pinned = {
      weightsPath: join(path, 'model.gguf'),
      weightsSizeBytes: 300 * KIB,
      weightsSha256: setOf().files[0]?.sha256 ?? '',
    };
    await assert.rejects(verifyWeights(pinned, createFileDigests(), AbortSignal.timeout(5000)), /is pinned/);
    assert.equal((await stage(setOf())).isNew, true);
    assert.deepEqual(readFileSync(join(path, 'model.gguf')), contents['model.gguf']);
  });

  test('goes on where a process was killed, without asking for what had arrived', async () => {
    source.constant = undefined;
    const gone = new AbortController();
    const clock = hastyClock([]);
    const client = createSourceClient({ source: 'Http', region: '', credentials: {}, clock });
    const onProgress = (done: number) => {
      if (done >= 200 * KIB) gone.abort(new Error('killed'));
    };
    const options = {
      folder,
      client,
      holder: { host: 'here', pid: 4 },
      isAlive: () => true,
      onProgress,
      clock,
      rng: createRng(1),
    };
    await assert.rejects(stageFiles(setOf(), { ...options, chunkBytes: 32 * KIB }, gone.signal), /killed/);
    await client.close();
    const before = source.sentBytes();
    const digest = fileSetDigest(setOf().files);
    // A line that was cut while it was written, and the lock of a process that is no more.
    writeFileSync(join(folder, '.partial', digest, '.chunks-0'), '9', { flag: 'a' });
    writeFileSync(join(folder, '.partial', `${digest}.lock`), JSON.stringify({ host: 'here', pid: 99, id: 'x' }));
    const { path } = await stage(setOf(), { chunkBytes: 32 * KIB, isAlive: (pid) => pid !== 99 });
    assert.deepEqual(readFileSync(join(path, 'model.gguf')), contents['model.gguf']);
    assert.ok(source.sentBytes() - before < 250 * KIB, `${source.sentBytes() - before} bytes were sent again`);
  });

  test('a state file of other ranges or another file counts for nothing', async () => {
    const digest = fileSetDigest(setOf().files);
    await assert.rejects(stage(setOf(), { freeBytes: async () => 0 }), refuses('DiskFull', /Make it larger/));
    writeFileSync(join(folder, '.partial', digest, '.chunks-0'), 'other 1 2\n0\n1\n2\n3\n4\n');
    const { path } = await stage(setOf());
    assert.deepEqual(readFileSync(join(path, 'model.gguf')), contents['model.gguf']);
  });

  test('two at once download once', async () => {
    const [one, two] = await Promise.all([stage(setOf()), stage(setOf(), { holder: { host: 'there', pid: 1 } })]);
    assert.deepEqual([one?.isNew, two?.isNew].sort(), [false, true]);
    assert.equal(source.sentBytes(), 305 * KIB);
  });
});

describe('sources that misbehave', () => {
  test('a cut goes on behind the last byte', async () => {
    source.faults.push({ type: 'cut', afterBytes: 1000 }, { type: 'cut', afterBytes: 1000 });
    const { path } = await stage(setOf());
    assert.deepEqual(readFileSync(join(path, 'model.gguf')), contents['model.gguf']);
    assert.ok(source.asked.some(({ range }) => range?.startsWith('bytes=1000-') === true));
  });

  test('one that knows no ranges is read in one stream', async () => {
    source.constant = { type: 'noRanges' };
    const { path } = await stage(setOf());
    assert.deepEqual(readFileSync(join(path, 'model.gguf')), contents['model.gguf']);
    assert.equal(source.sentBytes(), 305 * KIB);
  });

  test('429 waits as long as it was asked to', async () => {
    const waits: number[] = [];
    source.faults.push({ type: 'status', status: 429, headers: { 'retry-after': '7' } });
    await stage(setOf(), { clock: hastyClock(waits) });
    assert.ok(waits.includes(7000), waits.join());
  });

  test('a wrong range is tried again, and given up in the end', async () => {
    source.faults.push({ type: 'wrongRange' });
    await stage(setOf());
    rmSync(folder, { recursive: true });
    source.constant = { type: 'wrongRange' };
    source.asked.length = 0;
    await assert.rejects(stage(setOf()), refuses('SourceRefused', /another range/));
    assert.ok(source.asked.length <= 32, `${source.asked.length} requests`);
  });

  test('a silent one is given up', async () => {
    source.constant = { type: 'silent' };
    await assert.rejects(stage(setOf(), { silenceMsMax: 20 }), refuses('SourceUnreachable', /could not be read/));
  });

  test('wrong content is thrown away and said', async () => {
    await assert.rejects(stage(setOf({ sha256: 'a'.repeat(64) })), refuses('HashMismatch', /correct the digest/));
    const digest = fileSetDigest(setOf({ sha256: 'a'.repeat(64) }).files);
    assert.equal(existsSync(join(folder, '.partial', digest, 'model.gguf')), false);
    assert.equal(existsSync(join(folder, digest)), false);
  });

  test('another size is said at once', async () => {
    await assert.rejects(stage(setOf({ sizeBytes: 299 * KIB })), refuses('SizeMismatch', /307200 bytes/));
    assert.ok(source.asked.length <= 3);
  });

  for (const [status, reason] of [
    [401, 'AccessDenied'],
    [403, 'AccessDenied'],
    [404, 'FilesMissing'],
    [410, 'FilesMissing'],
    [400, 'SourceRefused'],
  ] as const) {
    test(`${status} is ${reason}, without another try`, async () => {
      source.constant = { type: 'status', status };
      await assert.rejects(
        stage(setOf(), { token: 'not-shown' }),
        (error: Error) => !error.message.includes('not-shown'),
      );
      await assert.rejects(stage(setOf()), refuses(reason, /./));
      assert.ok(source.asked.length <= 4, `${source.asked.length} requests`);
    });
  }
});

describe('disks and locks', () => {
  test('no room is said before anything is written', async () => {
    await assert.rejects(
      stage(setOf(), { freeBytes: async () => 64 * KIB * KIB }),
      refuses('DiskFull', /need .* more/),
    );
    assert.deepEqual(source.asked, []);
  });

  test('a disk that fills up under way is said, and the next try goes on', async () => {
    // The device that is always full.
    const digest = fileSetDigest(setOf().files);
    await stage(setOf(), { freeBytes: async () => 0 }).catch(() => {});
    const { symlinkSync } = await import('node:fs');
    symlinkSync('/dev/full', join(folder, '.partial', digest, '.chunks-0'));
    await assert.rejects(stage(setOf()), refuses('DiskFull', /volume is full/));
    rmSync(join(folder, '.partial', digest, '.chunks-0'));
    assert.equal((await stage(setOf())).isNew, true);
  });

  test('a folder that cannot be written is said', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    await assert.rejects(stage(setOf(), { folder: file }), refuses('CacheUnwritable', /cannot be written/));
  });

  test('a lock that nobody renews is broken; one that is alive is waited for', async () => {
    const digest = fileSetDigest(setOf().files);
    await stage(setOf(), { freeBytes: async () => 0 }).catch(() => {});
    const lock = join(folder, '.partial', `${digest}.lock`);
    writeFileSync(lock, JSON.stringify({ host: 'far', pid: 3 }));
    const clock = createManualClock(Date.now());
    const waiting = stage(setOf(), { clock });
    while (clock.pendingTimers() === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(source.asked.length, 0);
    clock.advance(61_000);
    assert.equal((await waiting).isNew, true);
    assert.equal(existsSync(lock), false);
  });

  test('a file that was cut after it was sealed is staged again', async () => {
    const { path } = await stage(setOf());
    truncateSync(join(path, 'model.gguf'), 10);
    assert.equal((await stage(setOf())).isNew, true);
  });
});

describe('a bounded cache', () => {
  const other = (seed: number) => madeBytes(200 * KIB, seed);
  /** A set of one file, brought as any other. */
  const bring = async (seed: number, given: Parameters<typeof stage>[1] = {}) => {
    const bytes = other(seed);
    source.contents.set(`/set-${seed}`, bytes);
    const file = { path: 'w', url: `${source.url}/set-${seed}`, sizeBytes: bytes.length, sha256: sha256Of(bytes) };
    return stage({ source: 'Http', files: [file] }, given);
  };
  const sets = () => readdirSync(folder).filter((name) => !name.startsWith('.'));
  const roomFor = (count: number, keep: readonly string[]) => ({
    room: { cacheBytesMax: count * 200 * KIB, keep: new Set(keep) },
  });

  test('loses what nobody named, the oldest first and no more than needed, and then takes the new set', async () => {
    const [first, second, third] = [await bring(1), await bring(2), await bring(3)];
    const evicted: string[] = [];
    const onEvicted = (digests: readonly string[]) => evicted.push(...digests);
    const old = new Date(1000);
    utimesSync(join(folder, second.digest, '.stoker-seal.json'), old, old);
    const fourth = await bring(4, { ...roomFor(3, [third.digest]), onEvicted });
    assert.deepEqual(evicted, [second.digest]);
    assert.deepEqual(sets().sort(), [first.digest, third.digest, fourth.digest].sort());
    assert.deepEqual(readdirSync(join(folder, '.partial')), []);
  });

  test('keeps what is named, and says with sizes why it does not fit', async () => {
    const kept = [await bring(1), await bring(2)].map(({ digest }) => digest);
    await assert.rejects(bring(3, roomFor(2, kept)), (error: StageError) => {
      assert.equal(error.reason, 'DiskFull');
      assert.match(error.message, /need 200\.0 KiB, and 400\.0 KiB are held by others that stay/);
      return true;
    });
    assert.deepEqual(sets().sort(), kept.sort());
  });

  test('a full volume counts, too', async () => {
    const { digest } = await bring(1);
    let free = 64 * KIB * KIB + 50 * KIB;
    const freeBytes = async () => free;
    const onEvicted = () => {
      free = 1024 * 1024 * 1024;
    };
    const next = await bring(2, { ...roomFor(100, []), freeBytes, onEvicted });
    assert.ok(digest !== next.digest && !sets().includes(digest));
  });

  test('what another stager is at stays, what one left behind goes, and so does nothing that no stager made', async () => {
    const [live, left, foreign] = ['a'.repeat(64), 'b'.repeat(64), 'mine'];
    for (const name of [`.partial/${live}`, `.partial/${left}`, foreign]) {
      mkdirSync(join(folder, name), { recursive: true });
      writeFileSync(join(folder, name, 'w'), other(9));
    }
    writeFileSync(join(folder, '.partial', `${live}.lock`), '{}');
    await bring(2, roomFor(2, []));
    assert.deepEqual(readdirSync(join(folder, '.partial')).sort(), [live, `${live}.lock`]);
    assert.ok(existsSync(join(folder, foreign, 'w')));
    await assert.rejects(bring(3, roomFor(1, [])), /held by others that stay/);
  });
});
