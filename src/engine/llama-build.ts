// The identity of the built-in engine, from the package files that are installed. Must never load the native library: the
// controller asks too. The digest covers what a model server process says of itself (llama/native-library.ts), so both agree.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { z } from 'zod';

const packageSchema = z.object({ name: z.string(), version: z.string() });
const builtSchema = z.object({
  buildOptions: z.object({ customCmakeOptions: z.unknown(), gpu: z.unknown(), llamaCpp: z.unknown() }),
});

/** What a revision pins of an engine build: enough of the digest to tell builds apart, short enough for a column. */
export function renderBuild(digest: string): string {
  return `builtin:${digest.slice(0, 12)}`;
}

/** `builtin:<12 hex>`. Rejects with a sentence when the engine is not installed for this platform. */
export async function llamaBuild(): Promise<string> {
  const facade = await findPackage('node-llama-cpp', import.meta.url);
  const { bins, packageName } = binaryNames();
  const binary = await findPackage(packageName, facade.entry);
  const file = join(binary.folder, 'bins', bins, '_nlcBuildMetadata.json');
  const built = builtSchema.safeParse(await readJson(file));
  if (!built.success) throw new Error(`The engine's build file ${file} cannot be read: run npm ci.`);
  const { customCmakeOptions, gpu, llamaCpp } = built.data.buildOptions;
  const facts = {
    version: facade.version,
    release: llamaCpp,
    buildType: 'prebuilt',
    options: customCmakeOptions,
    gpu,
    platform: `${process.platform}-${process.arch}`,
  };
  return renderBuild(createHash('sha256').update(JSON.stringify(facts)).digest('hex'));
}

/** How the engine's authors name the binary packages for processors without a GPU library; Metal is always there on arm64. */
function binaryNames(): { bins: string; packageName: string } {
  const platform = process.platform === 'darwin' ? 'mac' : process.platform === 'win32' ? 'win' : process.platform;
  const plain = `${platform}-${process.arch}`;
  const bins = plain === 'mac-arm64' ? 'mac-arm64-metal' : plain;
  return { bins, packageName: `@node-llama-cpp/${bins}` };
}

interface InstalledPackage {
  readonly version: string;
  readonly folder: string;
  readonly entry: string;
}

/** Its package.json is not among its exports, so it is looked for from its entry point upwards. */
async function findPackage(name: string, from: string): Promise<InstalledPackage> {
  const entry = resolveEntry(name, from);
  for (let folder = dirname(entry); folder !== dirname(folder); folder = dirname(folder)) {
    const parsed = packageSchema.safeParse(await readJson(join(folder, 'package.json')));
    if (parsed.success && parsed.data.name === name) return { version: parsed.data.version, folder, entry };
  }
  throw new Error(`The package ${name} is installed, but its package.json cannot be found above ${entry}.`);
}

function resolveEntry(name: string, from: string): string {
  try {
    return createRequire(from).resolve(name);
  } catch {
    throw new Error(`The package ${name} is not installed. The built-in engine needs it on this platform: run npm ci.`);
  }
}

async function readJson(path: string): Promise<unknown> {
  try {
    const parsed: unknown = JSON.parse(await readFile(path, 'utf8'));
    return parsed;
  } catch {
    return undefined;
  }
}
