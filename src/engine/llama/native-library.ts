// The one place that opens the native library: never compiles, never downloads, never falls back to another device.
// The library stays open while the model sleeps; its own messages go to our log, never to standard output.
import { createHash } from 'node:crypto';
import type { Llama, LlamaLogLevel } from 'node-llama-cpp';
import type { Log } from '../../lib/log.ts';
import type { ServerConfig } from './config.ts';
import { Refusal } from './refusal.ts';

export type Library = typeof import('node-llama-cpp');

export interface NativeLibrary {
  readonly library: Library;
  readonly llama: Llama;
  /** The hash of GET /identity. */
  readonly build: string;
  /** The last complaint of the native code since the last call; it often says what a failed load was about. */
  takeComplaint(): string | undefined;
}

const COMPLAINT_CHARS_MAX = 300;

/** Takes about 0.8 s, most of it a test run of the binary in a child process. Rejects with a Refusal. */
export async function openNativeLibrary(config: ServerConfig, log: Log): Promise<NativeLibrary> {
  const library = await import('node-llama-cpp');
  let complaint: string | undefined;
  const logger = (level: LlamaLogLevel, message: string) => {
    const text = message.trim().slice(0, COMPLAINT_CHARS_MAX);
    if (level === 'error' || level === 'fatal') complaint = text;
    if (text !== '') log.warn({ level, said: text }, 'The native library spoke.');
  };
  try {
    const llama = await library.getLlama({
      gpu: config.gpu,
      build: 'never',
      skipDownload: true,
      progressLogs: false,
      maxThreads: config.threads,
      logLevel: library.LlamaLogLevel.warn,
      logger,
    });
    const build = hashBuild(await library.getModuleVersion(), llama);
    const takeComplaint = () => {
      const taken = complaint;
      complaint = undefined;
      return taken;
    };
    return { library, llama, build, takeComplaint };
  } catch (error) {
    throw new Refusal('model_failed', explainNoLibrary(config, error));
  }
}

/**
 * Leaves out what differs between machines with the same install (processor features, device names). The same facts in the
 * same order are read from the package files by src/engine/llama-build.ts.
 */
function hashBuild(version: string, llama: Llama): string {
  const facts = {
    version,
    release: llama.llamaCppRelease,
    buildType: llama.buildType,
    options: llama.cmakeOptions,
    gpu: llama.gpu,
    platform: `${process.platform}-${process.arch}`,
  };
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 32);
}

function explainNoLibrary(config: ServerConfig, error: unknown): string {
  const device = config.gpu === false ? 'the CPU' : config.gpu;
  const said = error instanceof Error ? ` It said: ${error.message.slice(0, COMPLAINT_CHARS_MAX)}` : '';
  return `No binary of the native library for ${device} runs on this machine (${process.platform}-${process.arch}).${said}`;
}
