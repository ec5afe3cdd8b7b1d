// Puts the fakes where an adapter looks for the real programs: a folder for PATH with `vllm`, `python3` and `llama-server`, and
// weights beside it. Nothing outlives `remove` but processes that a test forgot to stop.
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fileSetDigest } from '../../../src/api/file-set.ts';
import type { Faults } from './fake-model.ts';

const programs = { vllm: 'vllm.ts', python3: 'sglang.ts', 'llama-server': 'llama-server.ts' } as const;

export interface InstalledFakes {
  readonly stateDir: string;
  /** For the adapter: PATH leads to the fakes. */
  readonly environment: Readonly<Record<string, string>>;
  readonly folder: { readonly weightsPath: string; readonly weightsSizeBytes: number; readonly weightsSha256: string };
  readonly file: { readonly weightsPath: string; readonly weightsSizeBytes: number; readonly weightsSha256: string };
  /** What goes wrong from now on, for every engine. */
  setFaults(faults: Faults): void;
  remove(): void;
}

export function installFakes(): InstalledFakes {
  const root = mkdtempSync(join(tmpdir(), 'stoker-fakes-'));
  const bin = join(root, 'bin');
  mkdirSync(bin);
  for (const [name, source] of Object.entries(programs)) {
    const script = fileURLToPath(new URL(source, import.meta.url));
    writeFileSync(join(bin, name), `#!/bin/sh\nexec "${process.execPath}" "${script}" "$@"\n`);
    chmodSync(join(bin, name), 0o755);
  }
  const folder = writeFolder(join(root, 'weights'));
  const file = writeFile(join(root, 'weights.gguf'));
  return {
    stateDir: join(root, 'state'),
    environment: { PATH: `${bin}:/usr/bin:/bin`, HOME: root },
    folder,
    file,
    setFaults(faults) {
      writeFileSync(join(folder.weightsPath, '.fake.json'), JSON.stringify(faults));
      writeFileSync(`${file.weightsPath}.fake.json`, JSON.stringify(faults));
    },
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

function writeFolder(weightsPath: string) {
  const files = {
    'config.json': JSON.stringify({ architectures: ['LlamaForCausalLM'], max_position_embeddings: 4096 }),
    'model.safetensors': 'not really weights',
    'tokenizer.json': '{}',
  };
  mkdirSync(weightsPath);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(weightsPath, name), content);
  const digests = Object.entries(files).map(([path, content]) => ({ path, sha256: sha256(content) }));
  const weightsSizeBytes = Object.values(files).reduce((sum, content) => sum + content.length, 0);
  return { weightsPath, weightsSizeBytes, weightsSha256: fileSetDigest(digests) };
}

function writeFile(weightsPath: string) {
  const content = 'GGUF, or so';
  writeFileSync(weightsPath, content);
  return { weightsPath, weightsSizeBytes: content.length, weightsSha256: sha256(content) };
}

function sha256(content: string): string {
  return createHash('sha256').update(content).digest('hex');
}
