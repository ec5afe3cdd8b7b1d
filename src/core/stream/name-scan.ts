// Finds the names of an object's own members in JSON that passes by in pieces, without keeping or parsing it. Linear, with a
// bounded memory; JSON that is none gives no names or wrong ones, which whoever parses it will refuse. Pure.

/** Of a name as it is written, escapes included. A longer one is none that anybody asks for. */
const NAME_BYTES_MAX = 256;

const quote = 0x22;
const backslash = 0x5c;
const colon = 0x3a;
const comma = 0x2c;
const openBrace = 0x7b;
const openers: ReadonlySet<number> = new Set([openBrace, 0x5b]);
const closers: ReadonlySet<number> = new Set([0x7d, 0x5d]);

export interface NameScan {
  /** The names that these bytes complete. */
  push(bytes: Uint8Array): string[];
}

export function createNameScan(): NameScan {
  return new Scan();
}

class Scan implements NameScan {
  #depth = 0;
  #isObject = false;
  #isInText = false;
  #isEscaped = false;
  #mayBeName = false;
  /** Bytes of a text that stands where a name of the object stands; undefined for any other text. */
  #name: number[] | undefined;

  push(bytes: Uint8Array): string[] {
    const found: string[] = [];
    for (const byte of bytes) {
      if (!this.#isInText) this.#readMark(byte);
      else if (!this.#isEscaped && byte === quote) found.push(...this.#endText());
      else this.#readText(byte);
    }
    return found;
  }

  #readText(byte: number): void {
    this.#isEscaped = !this.#isEscaped && byte === backslash;
    if (this.#name !== undefined && this.#name.push(byte) > NAME_BYTES_MAX) this.#name = undefined;
  }

  #endText(): string[] {
    this.#isInText = false;
    const name = this.#name === undefined ? undefined : decode(this.#name);
    return name === undefined ? [] : [name];
  }

  #readMark(byte: number): void {
    if (byte === quote) {
      this.#isInText = true;
      this.#name = this.#mayBeName ? [] : undefined;
      this.#mayBeName = false;
    } else if (openers.has(byte)) this.#open(byte);
    else if (closers.has(byte)) this.#depth -= 1;
    else if (byte === comma) this.#mayBeName = this.#depth === 1 && this.#isObject;
    else if (byte === colon) this.#mayBeName = false;
  }

  #open(byte: number): void {
    this.#depth += 1;
    if (this.#depth === 1) this.#isObject = byte === openBrace;
    this.#mayBeName = this.#depth === 1 && this.#isObject;
  }
}

/** Escapes resolved, because `"r\u0069d"` names `rid`. */
function decode(bytes: readonly number[]): string | undefined {
  try {
    const text: unknown = JSON.parse(`"${new TextDecoder().decode(Uint8Array.from(bytes))}"`);
    return typeof text === 'string' ? text : undefined;
  } catch {
    return undefined;
  }
}
