// The inference routes in one table: path, prefix of public ids, what is read of a body, what is changed in it, and what the
// work is taken to be. A row here is a route; nothing else in the router knows them by name.
import { type Edit, planStreamEdits, planUsageEdits } from './body-edits.ts';
import { readChatFields, readSocketChatFields } from './chat-fields.ts';
import { readCompletionFields } from './completion-fields.ts';
import { readEmbeddingFields } from './embedding-fields.ts';
import type { ObjectScan } from './json-scan.ts';
import type { Read, RequestFields } from './request-fields.ts';

export interface InferenceRoute {
  /** Where callers ask, and where the agent is asked. */
  readonly path: string;
  readonly idPrefix: string;
  /** Of an answer that the caller did not bound: only for weighing requests against each other. */
  readonly answerTokensGuess: number;
  readFields(bytes: Uint8Array, scan: ObjectScan): Read<RequestFields>;
  /** What has to change in the bytes of a stream's body on their way to the engine, in order. */
  planEdits(bytes: Uint8Array, scan: ObjectScan): readonly Edit[];
}

export const CHAT_PATH = '/v1/chat/completions';

const chat: InferenceRoute = {
  path: CHAT_PATH,
  idPrefix: 'chatcmpl-',
  answerTokensGuess: 256,
  readFields: readChatFields,
  planEdits: planUsageEdits,
};

export const inferenceRoutes = {
  chat,
  /** Chat over a WebSocket: the body of a message is that of a POST, and always a stream. */
  chatSocket: {
    ...chat,
    readFields: readSocketChatFields,
    planEdits: (bytes: Uint8Array, scan: ObjectScan) =>
      [...planStreamEdits(scan), ...planUsageEdits(bytes, scan)].sort((a, b) => a.start - b.start),
  },
  completions: {
    path: '/v1/completions',
    idPrefix: 'cmpl-',
    // What OpenAI takes when max_tokens is not there.
    answerTokensGuess: 16,
    readFields: readCompletionFields,
    planEdits: planUsageEdits,
  },
  embeddings: {
    path: '/v1/embeddings',
    idPrefix: 'embd-',
    answerTokensGuess: 0,
    readFields: readEmbeddingFields,
    planEdits: () => [],
  },
} as const satisfies Record<string, InferenceRoute>;

export type RouteName = keyof typeof inferenceRoutes;

/** Tokens that a request is expected to cost the engine: what is read, and every answer. No answer outgrows the context. */
export function estimateCost(fields: RequestFields, route: InferenceRoute, contextLength: number): number {
  const answerTokens = Math.min(fields.answerTokensMax ?? route.answerTokensGuess, contextLength);
  return Math.max(1, fields.promptTokens + fields.answers * answerTokens);
}
