// Whether a file can be a model at all, said in plain sentences before the native code sees it.
// Must never read more than the first bytes; what is wrong further inside is the loader's to find.
import { open, stat } from 'node:fs/promises';
import { Refusal } from './refusal.ts';

const MAGIC = 'GGUF';

/** Rejects with a Refusal of code model_failed. */
export async function checkModelFile(path: string): Promise<void> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new Refusal('model_failed', `The model file ${path} cannot be read (${error.code ?? 'unknown error'}).`);
  });
  if (!found.isFile()) throw new Refusal('model_failed', `The model path ${path} is not a file.`);
  if (found.size === 0) throw new Refusal('model_failed', `The model file ${path} is empty.`);
  if ((await readStart(path)) !== MAGIC) {
    throw new Refusal('model_failed', `The model file ${path} is not a GGUF file: it does not begin with "${MAGIC}".`);
  }
}

async function readStart(path: string): Promise<string> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    throw new Refusal('model_failed', `The model file ${path} cannot be opened (${error.code ?? 'unknown error'}).`);
  });
  try {
    const start = Buffer.alloc(MAGIC.length);
    const { bytesRead } = await file.read(start, 0, start.length, 0);
    return start.toString('latin1', 0, bytesRead);
  } finally {
    await file.close();
  }
}
