// `stoker chat MODEL [PROMPT]`: one question, or a conversation in the terminal. Shows that a model is being woken,
// then the tokens as they come. Goes through the OpenAI API like any other caller.
import { createInterface, type Interface } from 'node:readline';
import { type Answer, askModel, type ChatOptions, type Message } from './chat-answer.ts';
import { CommandError, type CommandIo, writeJson } from './io.ts';

/** Where a person types. */
export interface ChatInput {
  readonly input: NodeJS.ReadableStream;
  readonly output: NodeJS.WritableStream;
}

/** A prompt from a pipe is not longer than this. */
const PROMPT_BYTES_MAX = 4 * 1024 * 1024;

/** Asks once. Writes tokens as they come in table output, one JSON document in JSON output. */
export async function chatOnce(io: CommandIo, options: ChatOptions, prompt: string): Promise<void> {
  const { answer, failure } = await ask(io, options, {
    messages: [{ role: 'user', content: prompt }],
    signal: io.signal,
  });
  if (options.output === 'table' && answer !== undefined) io.write('\n');
  if (failure !== undefined) throw failure;
  if (options.output === 'json') writeJson(io, { model: options.model, ...answer });
}

/** Everything that comes from a pipe, as one prompt. */
export async function readPrompt(input: AsyncIterable<Buffer | string>): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of input) {
    chunks.push(Buffer.from(chunk));
    bytes += chunk.length;
    if (bytes > PROMPT_BYTES_MAX) throw new CommandError(`The prompt is longer than ${PROMPT_BYTES_MAX} bytes.`);
  }
  const prompt = Buffer.concat(chunks).toString('utf8').trim();
  if (prompt === '') throw new CommandError('There is no prompt on standard input.');
  return prompt;
}

/** A conversation until /exit or the end of input. The model sees what was said before. Ctrl-C ends an answer, or the conversation. */
export async function chatLoop(io: CommandIo, options: ChatOptions, { input, output }: ChatInput): Promise<void> {
  const lines = createInterface({ input, output, terminal: io.isTerminal, prompt: '> ' });
  const turn = interruptible(io, lines);
  const messages: Message[] = [];
  // The input may end while an answer is still coming.
  let isOpen = true;
  lines.once('close', () => {
    isOpen = false;
  });
  io.complain(`Talking to ${options.model}. Ctrl-C ends an answer, /exit ends the conversation.\n`);
  try {
    lines.prompt();
    for await (const line of lines) {
      if (line.trim() === '/exit') return;
      if (line.trim() !== '')
        messages.push(...(await turn((signal) => answerLine(io, options, { messages, line, signal }))));
      if (isOpen) lines.prompt();
    }
    io.complain('\n');
  } finally {
    lines.close();
  }
}

/** What the conversation remembers of one line: nothing when there was no answer. */
async function answerLine(
  io: CommandIo,
  options: ChatOptions,
  said: { readonly messages: readonly Message[]; readonly line: string; readonly signal: AbortSignal },
): Promise<Message[]> {
  const question: Message = { role: 'user', content: said.line.trim() };
  const messages = [...said.messages, question];
  const { answer, failure } = await ask(io, options, { messages, signal: said.signal });
  if (answer !== undefined) io.write('\n');
  if (failure !== undefined && !said.signal.aborted) io.complain(`stoker: ${failure.message}\n`);
  return answer === undefined ? [] : [question, { role: 'assistant', content: answer.text }];
}

/** Runs one turn at a time; an interrupt meets the turn, or closes the lines when there is none. */
function interruptible(io: CommandIo, lines: Interface) {
  let turn: AbortController | undefined;
  lines.on('SIGINT', () => {
    if (turn === undefined) lines.close();
    else turn.abort(new Error('interrupted'));
  });
  io.signal.addEventListener('abort', () => lines.close(), { once: true });
  return async <T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    turn = new AbortController();
    try {
      return await run(AbortSignal.any([io.signal, turn.signal]));
    } finally {
      turn = undefined;
    }
  };
}

interface Outcome {
  /** What came, also when it was cut; undefined when nothing came. */
  readonly answer: Answer | undefined;
  readonly failure: Error | undefined;
}

/** Writes the tokens as they come, unless the output is for programs. */
async function ask(
  io: CommandIo,
  options: ChatOptions,
  question: { readonly messages: readonly Message[]; readonly signal: AbortSignal },
): Promise<Outcome> {
  let answer: Answer | undefined;
  try {
    for await (const longer of askModel(io, options, question)) {
      if (options.output === 'table') io.write(longer.text.slice(answer?.text.length ?? 0));
      answer = longer;
    }
    return { answer, failure: undefined };
  } catch (error) {
    if (!(error instanceof CommandError) && !question.signal.aborted) throw error;
    return { answer, failure: error instanceof Error ? error : new Error(String(error)) };
  }
}
