// One question to the OpenAI API and its streamed answer: the hold on standard error, the tokens on standard output.
// Knows nothing of what was said before; errors of the server become sentences here.
import { request } from 'undici';
import { z } from 'zod';
import { CommandError, type CommandIo, type OutputFormat } from './io.ts';
import { readSse } from './sse.ts';

export interface ChatOptions {
  readonly url: string;
  readonly model: string;
  readonly apiKey: string | undefined;
  readonly maxTokens: number | undefined;
  readonly output: OutputFormat;
}

export interface Message {
  readonly role: 'user' | 'assistant';
  readonly content: string;
}

export interface Answer {
  readonly text: string;
  readonly finishReason: string | null;
  readonly usage: unknown;
}

const chunkSchema = z.object({
  error: z.object({ message: z.string() }).optional(),
  choices: z
    .array(
      z.object({ delta: z.object({ content: z.string().nullish() }).optional(), finish_reason: z.string().nullish() }),
    )
    .optional(),
  usage: z.unknown().optional(),
});

const CUT = 'The answer was cut: the connection ended before the model had finished.';

/** Yields the answer so far after each piece; the last one is complete. Throws CommandError, or the signal's reason. */
export async function* askModel(
  io: CommandIo,
  options: ChatOptions,
  question: { readonly messages: readonly Message[]; readonly signal: AbortSignal },
): AsyncGenerator<Answer> {
  const { signal } = question;
  const response = await post(options, renderBody(options, question.messages), signal);
  const progress = progressLine(io);
  let answer: Answer = { text: '', finishReason: null, usage: null };
  try {
    for await (const item of readSse(response.body)) {
      if (item.kind === 'comment') {
        progress.show(item.text);
        continue;
      }
      if (item.text === '[DONE]') return;
      const chunk = readChunk(item.text);
      progress.clear();
      answer = extend(answer, chunk);
      yield answer;
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof CommandError ? error : new CommandError(CUT);
  } finally {
    progress.clear();
  }
  throw new CommandError(CUT);
}

function renderBody({ model, maxTokens }: ChatOptions, messages: readonly Message[]): string {
  const limit = maxTokens === undefined ? {} : { max_tokens: maxTokens };
  return JSON.stringify({ model, stream: true, stream_options: { include_usage: true }, messages, ...limit });
}

/** Throws CommandError for an error event, and for what is no chunk. */
function readChunk(text: string): z.infer<typeof chunkSchema> {
  let chunk: z.infer<typeof chunkSchema>;
  try {
    chunk = chunkSchema.parse(JSON.parse(text));
  } catch {
    throw new CommandError(
      'The server sent something that is no chat completion. Is the address the one of an OpenAI API?',
    );
  }
  if (chunk.error !== undefined) throw new CommandError(chunk.error.message);
  return chunk;
}

function extend(answer: Answer, chunk: z.infer<typeof chunkSchema>): Answer {
  const [choice] = chunk.choices ?? [];
  return {
    text: answer.text + (choice?.delta?.content ?? ''),
    finishReason: choice?.finish_reason ?? answer.finishReason,
    usage: chunk.usage ?? answer.usage,
  };
}

async function post(options: ChatOptions, body: string, signal: AbortSignal) {
  const authorization = options.apiKey === undefined ? {} : { authorization: `Bearer ${options.apiKey}` };
  try {
    const response = await request(`${options.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...authorization },
      body,
      signal,
      // The router keeps its own deadlines, and a held stream may be silent for longer than undici's default.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    if (response.statusCode === 200) return response;
    throw new CommandError(errorSentence(await response.body.text(), response.statusCode));
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof CommandError) throw error;
    throw new CommandError(
      `${options.url} does not answer (${error instanceof Error ? error.message : String(error)}). Is Stoker running?`,
    );
  }
}

function errorSentence(body: string, status: number): string {
  try {
    return z.object({ error: z.object({ message: z.string() }) }).parse(JSON.parse(body)).error.message;
  } catch {
    return `The server answered ${status}.`;
  }
}

/** The hold progress on standard error: redrawn in place on a terminal, one line for each change elsewhere. */
function progressLine(io: CommandIo): { show(text: string): void; clear(): void } {
  let shown = '';
  return {
    show(text) {
      if (text === shown || text === '') return;
      io.complain(io.isTerminal ? `\r\u001b[2K… ${text}` : `${text}\n`);
      shown = text;
    },
    clear() {
      if (shown !== '' && io.isTerminal) io.complain('\r\u001b[2K');
      shown = '';
    },
  };
}
