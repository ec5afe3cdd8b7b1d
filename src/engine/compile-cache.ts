// Folders for what engines of others compile at their first start: one for each revision, so that the next start of the same
// finds it, in a later slot too where the Pool gives a volume. Bounded: what was not used for long goes. A failure here costs an
// engine time and never its start.
import { mkdir, readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';

export interface CompileCacheOptions {
  /** What follows it is the user's: what one user made, another can neither add to nor trust. */
  readonly folder: string;
  readonly userId: number;
  readonly clock: Clock;
  readonly log: Log;
}

export interface CompileCache {
  /** Where the engine of an instance (`<pod uid>/<revision>/<incarnation>`) keeps what it compiles. Empty: where it does by itself. */
  variablesFor(instance: string): Promise<Readonly<Record<string, string>>>;
}

/** Revisions whose folders are kept at most. */
const FOLDERS_MAX = 16;
/** A folder that was used this lately may be in use in another slot: it stays, however many there are. */
const KEPT_MS = 86_400_000;
const revisionName = /^[a-z0-9][-a-z0-9]{0,62}$/;

export function createCompileCache(options: CompileCacheOptions): CompileCache {
  return {
    async variablesFor(instance) {
      const revision = instance.split('/')[1] ?? '';
      if (!revisionName.test(revision)) return {};
      const all = `${options.folder}-user-${options.userId}`;
      const folder = join(all, revision);
      try {
        await mkdir(folder, { recursive: true });
        const usedAt = new Date(options.clock.wallMs());
        await utimes(folder, usedAt, usedAt);
        await trim(all, revision, options);
        return variablesOf(folder);
      } catch (error) {
        options.log.warn({ folder, error: String(error) }, 'what the engine compiles cannot be kept');
        return {};
      }
    },
  };
}

/** One for each library that compiles: vLLM, SGLang, DeepGEMM, PyTorch, Triton, FlashInfer, TVM and the driver itself. */
function variablesOf(folder: string): Record<string, string> {
  return {
    XDG_CACHE_HOME: folder,
    VLLM_CACHE_ROOT: join(folder, 'vllm'),
    SGLANG_CACHE_DIR: join(folder, 'sglang'),
    SGLANG_DG_CACHE_DIR: join(folder, 'deep_gemm'),
    DG_JIT_CACHE_DIR: join(folder, 'deep_gemm'),
    // Without it the folder's name is made of the user's, which the image may not know.
    TORCHINDUCTOR_CACHE_DIR: join(folder, 'torchinductor'),
    TORCH_EXTENSIONS_DIR: join(folder, 'torch_extensions'),
    TRITON_CACHE_DIR: join(folder, 'triton'),
    // It adds .cache/flashinfer to it.
    FLASHINFER_WORKSPACE_BASE: folder,
    TVM_FFI_CACHE_DIR: join(folder, 'tvm-ffi'),
    CUDA_CACHE_PATH: join(folder, 'cuda'),
  };
}

/** The longest unused go first. Agents of other slots may do the same at the same time. */
async function trim(folder: string, kept: string, { clock, log }: CompileCacheOptions): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory() && revisionName.test(entry.name)).map(({ name }) => name);
  const others = names.filter((name) => name !== kept);
  if (others.length < FOLDERS_MAX) return;
  const used = await Promise.all(others.map(async (name) => ({ name, usedMs: await usedMsOf(join(folder, name)) })));
  const surplus = used.sort((a, b) => a.usedMs - b.usedMs).slice(0, others.length - (FOLDERS_MAX - 1));
  for (const { name, usedMs } of surplus) {
    if (clock.wallMs() - usedMs < KEPT_MS) return;
    await rm(join(folder, name), { recursive: true, force: true });
    log.info({ folder: join(folder, name) }, 'what an engine compiled long ago is deleted');
  }
}

async function usedMsOf(folder: string): Promise<number> {
  const found = await stat(folder).catch(() => undefined);
  return found?.mtimeMs ?? 0;
}
