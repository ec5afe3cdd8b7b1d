// Finds the top-level members of one JSON object in bytes that come in pieces, without building values: so that an answer of
// many megabytes is looked through as it arrives and never parsed in one turn. Checks that brackets and quotes close; what is
// inside a value is its reader's to judge. Pure.

/** Offsets into all bytes together; the end is exclusive. */
export interface MemberRange {
  readonly keyStart: number;
  /** Just after the colon. */
  readonly valueStart: number;
  readonly valueEnd: number;
}

export interface MemberScan {
  push(bytes: Uint8Array): void;
  /** Undefined when the bytes are not one whole object, or have too many members. */
  end(): { readonly members: readonly MemberRange[]; readonly closeAt: number } | undefined;
}

const MEMBERS_MAX = 64;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const COLON = 0x3a;
const COMMA = 0x2c;
const SPACE = 0x20;

export function createMemberScan(): MemberScan {
  return new Scan();
}

class Scan implements MemberScan {
  readonly #members: MemberRange[] = [];
  #offset = 0;
  #depth = 0;
  #isInText = false;
  #isEscaped = false;
  #keyStart = 0;
  #valueStart: number | undefined;
  #closeAt: number | undefined;
  #isBroken = false;

  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length && !this.#isBroken; at += 1) {
      const byte = bytes[at] ?? 0;
      if (this.#isInText) this.#readText(byte);
      else if (byte > SPACE) this.#readMark(byte, this.#offset + at);
    }
    this.#offset += bytes.length;
  }

  end() {
    if (this.#isBroken || this.#closeAt === undefined) return undefined;
    return { members: this.#members, closeAt: this.#closeAt };
  }

  #readText(byte: number): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (byte === BACKSLASH) this.#isEscaped = true;
    else if (byte === QUOTE) this.#isInText = false;
  }

  #readMark(byte: number, at: number): void {
    if (this.#depth === 0 && (byte !== OPEN_OBJECT || this.#closeAt !== undefined)) this.#isBroken = true;
    else if (byte === QUOTE) this.#isInText = true;
    else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) this.#open(at);
    else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) this.#close(byte, at);
    else if (this.#depth === 1) this.#separate(byte, at);
  }

  #open(at: number): void {
    this.#depth += 1;
    if (this.#depth === 1) this.#keyStart = at + 1;
  }

  #close(byte: number, at: number): void {
    this.#depth -= 1;
    if (this.#depth > 0) return;
    if (byte !== CLOSE_OBJECT) this.#isBroken = true;
    // An empty object has no member to end.
    if (this.#valueStart !== undefined || this.#members.length > 0) this.#endMember(at);
    this.#closeAt = at;
  }

  #separate(byte: number, at: number): void {
    if (byte === COLON && this.#valueStart === undefined) this.#valueStart = at + 1;
    else if (byte === COMMA) this.#endMember(at);
  }

  #endMember(at: number): void {
    if (this.#valueStart === undefined || this.#members.length >= MEMBERS_MAX) {
      this.#isBroken = true;
      return;
    }
    this.#members.push({ keyStart: this.#keyStart, valueStart: this.#valueStart, valueEnd: at });
    this.#keyStart = at + 1;
    this.#valueStart = undefined;
  }
}
