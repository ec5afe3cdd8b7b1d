// `stoker explain scale MODEL`: the last scaling decision with every term, from the controller.
import { readFileSync } from 'node:fs';
import { request } from 'undici';
import { z } from 'zod';
import { parseJson } from '../lib/json-text.ts';
import { CommandError, type CommandIo, type OutputFormat, writeJson } from './io.ts';
import { readLocalAddresses } from './local-addresses.ts';
import { renderTable } from './table.ts';

const ANSWER_MS_MAX = 10_000;
/** Of what it says when it does not explain. */
const SENTENCE_CHARS_MAX = 400;

/** The controller's answer: a sentence and the figures behind it, in the order they were used. */
export const scaleExplanationSchema = z.object({
  model: z.string(),
  sentence: z.string(),
  desired: z.number(),
  ageMs: z.number(),
  terms: z.array(
    z.object({ name: z.string(), value: z.union([z.string(), z.number(), z.boolean()]), meaning: z.string() }),
  ),
});

export async function explainScale(io: CommandIo, model: string, output: OutputFormat): Promise<void> {
  const { url, token } = findController(io);
  const { status, text } = await ask(url, { path: `/explain/scale/${encodeURIComponent(model)}`, token }, io.signal);
  if (status === 404) {
    throw new CommandError(
      `There is no decision about a model named ${model}. \`stoker get models\` lists the models.`,
    );
  }
  if (status === 401) throw new CommandError(`${url} does not accept the token. Was the controller started anew?`);
  // A controller that stands by, or is about to lead.
  if (status === 503) throw new CommandError(`${url} answered: ${renderSentence(text)}`);
  const explanation = scaleExplanationSchema.safeParse(parseJson(text));
  if (status !== 200 || !explanation.success) {
    throw new CommandError(`${url} answered ${status}, and not with an explanation.`);
  }
  if (output === 'json') writeJson(io, explanation.data);
  else io.write(renderExplanation(explanation.data));
}

/** The controller of the environment goes before the Stoker of this folder. */
function findController(io: CommandIo): { url: string; token: string } {
  const { STOKER_CONTROLLER_URL: url, STOKER_CONTROLLER_TOKEN_FILE: file } = io.environment;
  const tokenFile = file ?? readLocalAddresses(io).controllerTokenFile;
  try {
    return { url: url ?? localController(io), token: readFileSync(tokenFile, 'utf8').trim() };
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(
      `The controller's token ${tokenFile} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

function localController(io: CommandIo): string {
  const { controller } = readLocalAddresses(io);
  if (controller !== undefined) return controller;
  throw new CommandError('The controller was started apart: set STOKER_CONTROLLER_URL to its administration address.');
}

async function ask(
  url: string,
  { path, token }: { path: string; token: string },
  signal: AbortSignal,
): Promise<{ status: number; text: string }> {
  const headers = { authorization: `Bearer ${token}` };
  const limits = { signal, headersTimeout: ANSWER_MS_MAX, bodyTimeout: ANSWER_MS_MAX };
  try {
    const response = await request(`${url}${path}`, { headers, ...limits });
    return { status: response.statusCode, text: await response.body.text() };
  } catch (error) {
    if (signal.aborted) throw error;
    throw new CommandError(
      `The controller at ${url} does not answer (${error instanceof Error ? error.message : String(error)}). Is Stoker running?`,
    );
  }
}

/** Whoever answers at the address is not trusted with the terminal. */
function renderSentence(text: string): string {
  return text
    .slice(0, SENTENCE_CHARS_MAX)
    .replaceAll(/[\p{C}\s]+/gu, ' ')
    .trim();
}

function renderExplanation(explanation: z.infer<typeof scaleExplanationSchema>): string {
  const rows = explanation.terms.map((term) => [term.name, String(term.value), term.meaning]);
  const age = `decided ${(explanation.ageMs / 1000).toFixed(1)} s ago`;
  return `${explanation.model}: ${explanation.sentence} (${age})\n\n${renderTable(['TERM', 'VALUE', 'MEANING'], rows)}`;
}
