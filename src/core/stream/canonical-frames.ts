// Turns an engine's chunks into canonical frames (src/api/data-path.ts): our id and names, one kind each, numbered from 1
// without gaps. A chunk that says several things becomes several frames. Pure: bytes in, bytes out.
import { FRAME_BYTES_MAX, type FrameKind } from '../../api/data-path.ts';
import { type OutcomeCode, renderErrorBody } from '../../api/outcomes.ts';
import { isJsonObject, type JsonFields, parseJsonObject } from '../../lib/json-text.ts';
import { createSseParser, SseError } from './sse-parser.ts';

/** What every frame of one answer carries. */
export interface AnswerNames {
  readonly id: string;
  /** The served name. */
  readonly model: string;
  /** The revision. */
  readonly systemFingerprint: string;
}

export interface FrameStream {
  /** Canonical bytes for these bytes of the engine; empty when they complete nothing. */
  push(bytes: Uint8Array): string;
  /** Whether more frames may come, the answer is whole, or the stream ended with an error. Only `open` takes more bytes. */
  state(): 'open' | 'whole' | 'failed';
  /** The frames for an engine that ended here: nothing after `done`, else an error frame. */
  end(): string;
  /** The error frame that ends the stream; empty when it has ended. */
  fail(code: OutcomeCode, message: string): string;
}

const DONE = '[DONE]';
const ENGINE_MESSAGE_CHARS_MAX = 500;

export function createFrameStream(names: AnswerNames): FrameStream {
  const parser = createSseParser(FRAME_BYTES_MAX);
  let number = 0;
  const choices = createChoiceBook();
  let state: ReturnType<FrameStream['state']> = 'open';
  const render = (kind: FrameKind, data: string) => {
    number += 1;
    return `: ${number} ${kind}\ndata: ${data}\n\n`;
  };
  const fail = (code: OutcomeCode, message: string) => {
    if (state !== 'open') return '';
    state = 'failed';
    return render('error', JSON.stringify(renderErrorBody(code, message)));
  };
  const finish = () => {
    if (!choices.areWhole()) return fail('upstream_garbled', 'The engine ended the answer without saying why.');
    state = 'whole';
    return render('done', DONE);
  };
  const read = (data: string): string => {
    if (state !== 'open') return '';
    if (data === DONE) return finish();
    const chunk = parseJsonObject(data);
    if (chunk === undefined) return fail('upstream_garbled', 'The engine sent a chunk that is not a JSON object.');
    const said = engineError(chunk);
    if (said !== undefined) return fail('upstream_failed', `The engine failed: ${said}`);
    const frames = splitChunk(chunk);
    if (frames === undefined) return fail('upstream_garbled', 'The engine sent a chunk that is no part of an answer.');
    choices.note(frames);
    return frames.map((frame) => render(frame.kind, JSON.stringify(nameChunk(frame.chunk, names)))).join('');
  };
  return {
    push(bytes) {
      if (state !== 'open') return '';
      try {
        return parser.push(bytes).map(read).join('');
      } catch (error) {
        if (error instanceof SseError)
          return fail('upstream_garbled', `The engine sent a broken stream. ${error.message}`);
        throw error;
      }
    },
    state: () => state,
    end: () => fail('upstream_failed', 'The engine closed the stream before the answer was complete.'),
    fail,
  };
}

/** Sets our names on a chunk or a whole answer. Places of fields that are there are kept. */
export function nameChunk(chunk: JsonFields, names: AnswerNames): JsonFields {
  return { ...chunk, id: names.id, model: names.model, system_fingerprint: names.systemFingerprint };
}

/** The sentence of an error that an engine sends as data; undefined when it is none. */
export function engineError(answer: JsonFields): string | undefined {
  const { error } = answer;
  if (error === undefined || error === null) return undefined;
  const message = isJsonObject(error) ? error.message : error;
  return typeof message === 'string' ? message.slice(0, ENGINE_MESSAGE_CHARS_MAX) : 'it gave no reason.';
}

interface ChunkFrame {
  readonly kind: FrameKind;
  readonly chunk: JsonFields;
}

/** More than any request may ask for: the choices of an engine that names more are not followed. */
const CHOICES_MAX = 1024;

/** Which choices have begun and which have ended: an answer is whole when it has some and all of them have. */
function createChoiceBook() {
  const hasEnded = new Map<unknown, boolean>();
  return {
    note(frames: readonly ChunkFrame[]) {
      for (const { index, finish_reason: finish } of frames.flatMap(({ chunk }) => choicesOf(chunk))) {
        const isKnown = hasEnded.has(index);
        if (!isKnown && hasEnded.size >= CHOICES_MAX) continue;
        if (typeof finish === 'string') hasEnded.set(index, true);
        else if (!isKnown) hasEnded.set(index, false);
      }
    },
    areWhole: () => hasEnded.size > 0 && [...hasEnded.values()].every((ended) => ended),
  };
}

function choicesOf({ choices }: JsonFields): readonly JsonFields[] {
  return Array.isArray(choices) ? choices.filter(isJsonObject) : [];
}

/** Undefined when it is not a chunk. Text before its finish before its usage, whatever way the engine packs them. */
function splitChunk(chunk: JsonFields): readonly ChunkFrame[] | undefined {
  const { usage, ...rest } = chunk;
  const { choices } = rest;
  if (!Array.isArray(choices) || !choices.every(isJsonObject)) return undefined;
  const frames: ChunkFrame[] = [];
  if (choices.length > 0) frames.push(...splitChoices(rest, choices));
  if (isJsonObject(usage)) frames.push({ kind: 'usage', chunk: { ...rest, choices: [], usage } });
  return frames.length > 0 ? frames : [{ kind: 'other', chunk: rest }];
}

function splitChoices(rest: JsonFields, choices: readonly JsonFields[]): readonly ChunkFrame[] {
  const isFinish = choices.some((choice) => typeof choice.finish_reason === 'string');
  const hasContent = choices.some(choiceHasContent);
  if (!isFinish) return [{ kind: hasContent ? 'content' : isRoleOnly(choices) ? 'role' : 'other', chunk: rest }];
  if (!hasContent) return [{ kind: 'finish', chunk: rest }];
  const open = choices.map((choice) => ({ ...choice, finish_reason: null }));
  const closed = choices.filter((choice) => typeof choice.finish_reason === 'string').map(withoutContent);
  return [
    { kind: 'content', chunk: { ...rest, choices: open } },
    { kind: 'finish', chunk: { ...rest, choices: closed } },
  ];
}

/** Choices of a text completion have `text` where those of a chat have `delta`. */
function withoutContent({ logprobs: _logprobs, ...choice }: JsonFields): JsonFields {
  return typeof choice.text === 'string' ? { ...choice, text: '', logprobs: null } : { ...choice, delta: {} };
}

function choiceHasContent({ text, delta }: JsonFields): boolean {
  return typeof text === 'string' ? text !== '' : isContent(delta);
}

/** Content is what a caller can see: text, reasoning, a refusal, a tool call (DESIGN §8, commit marks). */
function isContent(delta: unknown): boolean {
  if (!isJsonObject(delta)) return false;
  return Object.entries(delta).some(([field, value]) => {
    if (field === 'role') return false;
    if (typeof value === 'string') return value !== '';
    return Array.isArray(value) ? value.length > 0 : isJsonObject(value);
  });
}

function isRoleOnly(choices: readonly JsonFields[]): boolean {
  return choices.some((choice) => isJsonObject(choice.delta) && typeof choice.delta.role === 'string');
}
