// From the text of a token in the model file to the bytes that it stands for. Vocabularies spell bytes in their own ways;
// one that is not known here is left to whoever asks. Pure.

const BYTE_NAME = /^<0x([0-9A-Fa-f]{2})>$/;

/** Undefined when the kind of vocabulary does not say. `kind` is node-llama-cpp's name of it. */
export function tokenBytesOf(kind: string, text: string): Uint8Array | undefined {
  if (kind === 'bpe') return byteLevelBytes(text);
  if (kind !== 'spm' && kind !== 'ugm') return undefined;
  const byte = BYTE_NAME.exec(text)?.[1];
  if (byte !== undefined) return Uint8Array.of(Number.parseInt(byte, 16));
  return Buffer.from(text.replaceAll('\u2581', ' '), 'utf8');
}

/** GPT-2's alphabet has a visible character for each byte; a token with any other character is one of control. */
function byteLevelBytes(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const char of text) {
    const byte = byteOfChar.get(char);
    if (byte === undefined) return Buffer.from(text, 'utf8');
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/** Visible bytes stand for themselves; the others follow from U+0100 on, in order. */
const byteOfChar: ReadonlyMap<string, number> = new Map(
  (() => {
    const isVisible = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
    const rows: [string, number][] = [];
    let hidden = 0;
    for (let byte = 0; byte < 256; byte += 1) {
      const code = isVisible(byte) ? byte : 256 + hidden;
      if (!isVisible(byte)) hidden += 1;
      rows.push([String.fromCodePoint(code), byte]);
    }
    return rows;
  })(),
);
