// Renders a conversation with the model's own chat template and knows where its answers end.
// Text and control tokens stay apart until they are tokens, so that no text of a caller can become a control token.
import type { ChatHistoryItem, LlamaModel, LlamaText } from 'node-llama-cpp';
import type { ChatMessage } from './chat-messages.ts';
import type { Library } from './native-library.ts';

export interface ChatTemplate {
  readonly stopTexts: readonly string[];
  renderPrompt(messages: readonly ChatMessage[]): readonly number[];
  isEnd(token: number): boolean;
}

/** Throws when the file's template is broken. */
export function createChatTemplate(library: Library, model: LlamaModel): ChatTemplate {
  const wrapper = library.resolveChatWrapper(model, { warningLogs: false });
  const render = (messages: readonly ChatMessage[]) =>
    wrapper.generateContextState({
      chatHistory: [...messages.map(historyItem), { type: 'model', response: [] }],
    });
  const ends = new Set<number>();
  const stopTexts: string[] = [];
  for (const trigger of render([{ role: 'user', text: 'a' }]).stopGenerationTriggers) {
    const end = endOf(library, model, trigger);
    if (typeof end === 'number') ends.add(end);
    else if (end !== undefined) stopTexts.push(end);
  }
  return {
    stopTexts,
    renderPrompt: (messages) => render(messages).contextText.tokenize(model.tokenizer),
    isEnd: (token) => ends.has(token) || model.isEogToken(token as never), // The library brands its token ids.
  };
}

/** One control token ends an answer by its id. Anything longer is looked for in the text. */
function endOf(library: Library, model: LlamaModel, trigger: LlamaText): number | string | undefined {
  const tokens = trigger.tokenize(model.tokenizer);
  const [only] = tokens;
  if (only !== undefined && tokens.length === 1 && model.isSpecialToken(only)) return only;
  const texts = trigger.values.map((value) => {
    if (typeof value === 'string') return value;
    return value instanceof library.SpecialTokensText ? value.value : '';
  });
  const text = texts.join('');
  return text === '' || spellsControlToken(model, text) ? undefined : text;
}

/** The same text as a control token is caught by its id; as plain text it is a text like any other. */
function spellsControlToken(model: LlamaModel, text: string): boolean {
  const tokens = model.tokenize(text, true);
  return tokens.length === 1 && model.isSpecialToken(tokens[0]);
}

function historyItem({ role, text }: ChatMessage): ChatHistoryItem {
  if (role === 'system') return { type: 'system', text };
  if (role === 'user') return { type: 'user', text };
  return { type: 'model', response: [text] };
}
