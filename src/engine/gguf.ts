// Reads the header of a GGUF file: version and metadata, no tensors and no engine. The file is untrusted: every count and
// length has a bound, and long values are passed over, not kept. Format: ggml's docs/gguf.md, versions 2 and 3.
import { type FileHandle, open } from 'node:fs/promises';

/** Bytes of header that are read at most; large vocabularies take about 10 MiB. */
const HEADER_BYTES_MAX = 256 * 1024 * 1024;
const WINDOW_BYTES = 256 * 1024;
const PAIRS_MAX = 4096;
const KEY_BYTES_MAX = 1024;
/** Longer strings (chat templates, merges) are passed over. */
const KEPT_STRING_BYTES_MAX = 4096;
const STRING_BYTES_MAX = 64 * 1024 * 1024;
const ARRAY_ITEMS_MAX = 16 * 1024 * 1024;
const NESTING_MAX = 4;
const TENSORS_MAX = 1_000_000;
const DIMENSIONS_MAX = 8;
/** Where tensors begin is a multiple of this, unless the file says otherwise. */
const ALIGNMENT_BYTES = 32;

export type GgufScalar = string | number | bigint | boolean;

export interface GgufHeader {
  readonly version: number;
  readonly tensorCount: number;
  /** A file of fewer bytes was cut: its last tensor would begin beyond the end. */
  readonly fileBytesMin: number;
  /** Scalar metadata. Arrays and long strings are not kept. */
  readonly metadata: ReadonlyMap<string, GgufScalar>;
}

/** What is wrong with the file, as the end of a sentence that begins with its path. */
export class GgufError extends Error {
  override readonly name = 'GgufError';
}

/** Rejects with GgufError when the file is not a GGUF file that we read, or with the system's error. */
export async function readGgufHeader(path: string, signal: AbortSignal): Promise<GgufHeader> {
  const file = await open(path, 'r');
  try {
    return await parseHeader(createWindow(file, signal));
  } finally {
    await file.close();
  }
}

/** Reads forward through a file. Every method rejects with GgufError at the end of the file or of the bound. */
interface Window {
  u32(): Promise<number>;
  /** A count or length: refuses what is above `max`. */
  length(max: number, what: string): Promise<number>;
  /** The bytes are valid until the next call. */
  take(bytes: number): Promise<Buffer>;
  skip(bytes: number): Promise<void>;
  /** Bytes read or skipped so far. */
  position(): number;
}

function createWindow(file: FileHandle, signal: AbortSignal): Window {
  let buffer: Buffer = Buffer.alloc(0);
  let at = 0;
  let filePosition = 0;
  const refill = async (bytes: number) => {
    signal.throwIfAborted();
    if (filePosition - (buffer.length - at) + bytes > HEADER_BYTES_MAX)
      throw new GgufError('has a header that is too large');
    const rest = buffer.subarray(at);
    const fresh = Buffer.alloc(Math.max(bytes - rest.length, WINDOW_BYTES));
    const { bytesRead } = await file.read(fresh, 0, fresh.length, filePosition);
    filePosition += bytesRead;
    buffer = Buffer.concat([rest, fresh.subarray(0, bytesRead)]);
    at = 0;
    if (buffer.length < bytes) throw new GgufError('ends in the middle of its header');
  };
  const take = async (bytes: number) => {
    if (buffer.length - at < bytes) await refill(bytes);
    at += bytes;
    return buffer.subarray(at - bytes, at);
  };
  return {
    take,
    position: () => filePosition - (buffer.length - at),
    u32: async () => (await take(4)).readUInt32LE(0),
    async length(max, what) {
      const value = (await take(8)).readBigUInt64LE(0);
      if (value > BigInt(max)) throw new GgufError(`says that it has ${value} ${what}, more than ${max}`);
      return Number(value);
    },
    async skip(bytes) {
      const buffered = Math.min(bytes, buffer.length - at);
      at += buffered;
      if (buffered === bytes) return;
      filePosition += bytes - buffered;
      if (filePosition > HEADER_BYTES_MAX) throw new GgufError('has a header that is too large');
    },
  };
}

async function parseHeader(window: Window): Promise<GgufHeader> {
  if ((await window.take(4)).toString('latin1') !== 'GGUF') throw new GgufError('is not a GGUF file');
  const version = await window.u32();
  if (version !== 2 && version !== 3) throw new GgufError(`has GGUF version ${version}; versions 2 and 3 are read`);
  const tensorCount = await window.length(TENSORS_MAX, 'tensors');
  const pairs = await window.length(PAIRS_MAX, 'metadata entries');
  const metadata = new Map<string, GgufScalar>();
  for (let pair = 0; pair < pairs; pair += 1) {
    const keyBytes = await window.length(KEY_BYTES_MAX, 'bytes in a metadata key');
    const key = (await window.take(keyBytes)).toString('utf8');
    const value = await readValue(window, await window.u32(), 0);
    if (value !== undefined) metadata.set(key, value);
  }
  const lastOffset = await readLastOffset(window, tensorCount);
  const alignment = alignmentOf(metadata);
  const fileBytesMin = tensorCount === 0 ? 0 : Math.ceil(window.position() / alignment) * alignment + lastOffset + 1;
  return { version, tensorCount, metadata, fileBytesMin };
}

/** Where the last tensor begins, counted from the first. */
async function readLastOffset(window: Window, tensorCount: number): Promise<number> {
  let last = 0;
  for (let tensor = 0; tensor < tensorCount; tensor += 1) {
    await window.skip(await window.length(KEY_BYTES_MAX, 'bytes in the name of a tensor'));
    const dimensions = await window.u32();
    if (dimensions > DIMENSIONS_MAX) throw new GgufError(`has a tensor of ${dimensions} dimensions`);
    await window.skip(8 * dimensions + 4);
    last = Math.max(last, await window.length(Number.MAX_SAFE_INTEGER, 'bytes before a tensor'));
  }
  return last;
}

function alignmentOf(metadata: ReadonlyMap<string, GgufScalar>): number {
  const alignment = metadata.get('general.alignment');
  return typeof alignment === 'number' && alignment > 0 ? alignment : ALIGNMENT_BYTES;
}

const STRING_TYPE = 8;
const ARRAY_TYPE = 9;

/** By type number: how many bytes a scalar takes and how it is read. */
const scalars: ReadonlyMap<number, { bytes: number; read: (bytes: Buffer) => GgufScalar }> = new Map([
  [0, { bytes: 1, read: (bytes: Buffer) => bytes.readUInt8(0) }],
  [1, { bytes: 1, read: (bytes: Buffer) => bytes.readInt8(0) }],
  [2, { bytes: 2, read: (bytes: Buffer) => bytes.readUInt16LE(0) }],
  [3, { bytes: 2, read: (bytes: Buffer) => bytes.readInt16LE(0) }],
  [4, { bytes: 4, read: (bytes: Buffer) => bytes.readUInt32LE(0) }],
  [5, { bytes: 4, read: (bytes: Buffer) => bytes.readInt32LE(0) }],
  [6, { bytes: 4, read: (bytes: Buffer) => bytes.readFloatLE(0) }],
  [7, { bytes: 1, read: (bytes: Buffer) => bytes.readUInt8(0) !== 0 }],
  [10, { bytes: 8, read: (bytes: Buffer) => bytes.readBigUInt64LE(0) }],
  [11, { bytes: 8, read: (bytes: Buffer) => bytes.readBigInt64LE(0) }],
  [12, { bytes: 8, read: (bytes: Buffer) => bytes.readDoubleLE(0) }],
]);

/** Undefined for what is passed over. */
async function readValue(window: Window, type: number, nesting: number): Promise<GgufScalar | undefined> {
  const scalar = scalars.get(type);
  if (scalar !== undefined) return scalar.read(await window.take(scalar.bytes));
  if (type === STRING_TYPE) return readString(window);
  if (type !== ARRAY_TYPE) throw new GgufError(`has a metadata value of unknown type ${type}`);
  if (nesting >= NESTING_MAX) throw new GgufError('has metadata arrays that are nested too deep');
  await skipArray(window, nesting);
  return undefined;
}

async function readString(window: Window): Promise<string | undefined> {
  const bytes = await window.length(STRING_BYTES_MAX, 'bytes in a metadata string');
  if (bytes <= KEPT_STRING_BYTES_MAX) return (await window.take(bytes)).toString('utf8');
  await window.skip(bytes);
  return undefined;
}

async function skipArray(window: Window, nesting: number): Promise<void> {
  const type = await window.u32();
  const items = await window.length(ARRAY_ITEMS_MAX, 'items in a metadata array');
  const scalar = scalars.get(type);
  if (scalar !== undefined) return window.skip(items * scalar.bytes);
  for (let item = 0; item < items; item += 1) await readValue(window, type, nesting + 1);
}

/** The context length that the model was trained for; undefined when the file does not say. */
export function trainedContextLength(header: GgufHeader): number | undefined {
  const value = header.metadata.get(`${String(header.metadata.get('general.architecture'))}.context_length`);
  const length = typeof value === 'bigint' ? Number(value) : value;
  return typeof length === 'number' && Number.isSafeInteger(length) && length > 0 ? length : undefined;
}
