// One conversation with a model, streamed through the OpenAI API on this same address. What is said lives in this page
// and nowhere else; the API key is read from its field when a question is sent and is never kept.
import { renderMs } from './models.js';
import { createSseReader } from './sse.js';

const CHAT_URL = '/v1/chat/completions';

/**
 * Asks and calls `on.progress`, `on.content` as the answer comes. Resolves with what is known at the end.
 * Rejects with a sentence when the answer failed or was cut; what came before has been passed on.
 */
export async function streamAnswer({ model, messages, key, signal, on }) {
  const response = await fetch(CHAT_URL, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key === '' ? {} : { authorization: `Bearer ${key}` }) },
    body: JSON.stringify({ model, messages, stream: true, stream_options: { include_usage: true } }),
    signal,
    cache: 'no-store',
  });
  if (!response.ok) throw new Error(await readError(response));
  const answer = { finishReason: undefined, usage: undefined };
  const reader = createSseReader();
  for await (const bytes of readBody(response.body)) {
    for (const { kind, text } of reader.push(bytes)) {
      if (kind === 'comment') on.progress(text);
      else if (text === '[DONE]') return answer;
      else takeChunk(JSON.parse(text), answer, on);
    }
  }
  throw new Error('The answer was cut: the connection ended before the model had finished.');
}

function takeChunk(chunk, answer, on) {
  if (chunk.error !== undefined) throw new Error(String(chunk.error.message ?? 'The answer failed.'));
  const [choice] = chunk.choices ?? [];
  answer.finishReason = choice?.finish_reason ?? answer.finishReason;
  answer.usage = chunk.usage ?? answer.usage;
  const content = choice?.delta?.content;
  if (typeof content === 'string' && content !== '') on.content(content);
}

async function readError(response) {
  const body = await response.json().catch(() => undefined);
  const message = body?.error?.message;
  const sentence = typeof message === 'string' ? message : `The router answered ${response.status}.`;
  return response.status === 401 ? `${sentence} Put a key into the field "API key" below.` : sentence;
}

/** Not every browser can iterate a body. */
async function* readBody(body) {
  const reader = body.getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** The line under an answer: how it ended and what it took. `times` are readings of one clock, in milliseconds. */
export function renderEnd({ finishReason, usage }, times) {
  const tokens = usage?.completion_tokens;
  const parts = [];
  if (finishReason === 'length') parts.push('cut at the token limit');
  if (typeof tokens === 'number') parts.push(`${tokens} ${tokens === 1 ? 'token' : 'tokens'}`);
  if (times.firstMs !== undefined) {
    parts.push(`first after ${renderMs(times.firstMs - times.askedMs)}`);
    const spanMs = times.endMs - times.firstMs;
    if (tokens > 1 && spanMs > 0) parts.push(`${Math.round(((tokens - 1) * 1000) / spanMs)} tokens/s`);
  }
  return parts.join(' · ');
}

/** Wires the chat box. `elements` are the page's; returns what the status poll has to tell it. */
export function createChat(elements) {
  const { model, thread, form, question, send, stop, fresh, key } = elements;
  let messages = [];
  let asking;
  const refresh = () => {
    send.disabled = asking !== undefined || model.value === '' || question.value.trim() === '';
    send.hidden = asking !== undefined;
    stop.hidden = asking === undefined;
    fresh.disabled = asking !== undefined || thread.querySelector('.turn') === null;
    model.disabled = asking !== undefined || model.options.length === 0;
    thread.setAttribute('aria-busy', String(asking !== undefined));
  };
  const ask = async () => {
    const text = question.value.trim();
    if (asking !== undefined || text === '' || model.value === '') return;
    asking = new AbortController();
    question.value = '';
    elements.empty.hidden = true;
    addTurn(thread, 'You', 'mine').add(text);
    const turn = addTurn(thread, model.value, 'theirs');
    refresh();
    const mine = { role: 'user', content: text };
    const said = await converse(turn, {
      model: model.value,
      messages: [...messages, mine],
      key: key.value.trim(),
      signal: asking.signal,
    });
    // A question without an answer is not part of the conversation: it goes back to where it was written.
    if (said === '') question.value ||= text;
    else messages = [...messages, mine, { role: 'assistant', content: said }];
    asking = undefined;
    refresh();
    question.focus();
  };
  const startOver = () => {
    messages = [];
    for (const turn of thread.querySelectorAll('.turn')) turn.remove();
    elements.empty.hidden = false;
    refresh();
    question.focus();
  };
  listen({ form, question, stop, fresh, model }, { ask, refresh, startOver, abort: () => asking?.abort() });
  return {
    /** The models to choose from, and those of them that can answer. */
    offer(names, usable) {
      if (asking === undefined && setOptions(model, names, usable)) refresh();
    },
  };
}

function listen({ form, question, stop, fresh, model }, { ask, refresh, startOver, abort }) {
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    ask();
  });
  question.addEventListener('input', refresh);
  question.addEventListener('keydown', (event) => {
    // While a word is being composed (Japanese, for one), Enter belongs to the composition.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    ask();
  });
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') abort();
  });
  stop.addEventListener('click', abort);
  fresh.addEventListener('click', startOver);
  model.addEventListener('change', refresh);
}

/** Streams one answer into its turn. Resolves with the text that came, also when it failed or was stopped. */
async function converse(turn, question) {
  const times = { askedMs: performance.now(), firstMs: undefined, endMs: undefined };
  let said = '';
  const on = {
    progress: (text) => said === '' && turn.note(text, 'waiting'),
    content(text) {
      if (said === '') turn.note('', '');
      times.firstMs ??= performance.now();
      said += text;
      turn.add(text);
    },
  };
  turn.note('sent', 'waiting');
  try {
    const answer = await streamAnswer({ ...question, on });
    times.endMs = performance.now();
    turn.note(renderEnd(answer, times), '');
  } catch (error) {
    if (question.signal.aborted) turn.note('stopped', '');
    else turn.note(sentenceOf(error), 'failed');
  }
  return said;
}

/** A browser's own error for a connection that failed is a TypeError with a text that helps nobody. */
function sentenceOf(error) {
  return error instanceof TypeError ? 'The connection to Stoker failed. Is it running?' : String(error.message);
}

function addTurn(thread, who, kind) {
  const element = document.createElement('div');
  element.className = `turn ${kind}`;
  const [name, said, note] = ['who', 'said', 'note'].map((part) => {
    const child = document.createElement('div');
    child.className = part;
    return child;
  });
  name.textContent = who;
  const text = document.createTextNode('');
  said.append(text);
  said.hidden = true;
  note.hidden = true;
  element.append(name, said, note);
  thread.append(element);
  thread.scrollTop = thread.scrollHeight;
  const follow = (change) => {
    const atEnd = thread.scrollHeight - thread.scrollTop - thread.clientHeight < 40;
    change();
    if (atEnd) thread.scrollTop = thread.scrollHeight;
  };
  return {
    add: (piece) =>
      follow(() => {
        said.hidden = false;
        text.appendData(piece);
      }),
    note: (sentence, state) =>
      follow(() => {
        note.textContent = sentence;
        note.className = `note ${state}`;
        note.hidden = sentence === '';
      }),
  };
}

/** Keeps the choice; the first one is a model that can answer. Returns whether the options changed. */
function setOptions(select, names, usable) {
  const before = Array.from(select.options, (option) => option.value);
  if (before.length === names.length && before.every((name, index) => name === names[index])) return false;
  const chosen = select.value;
  select.replaceChildren(...names.map((name) => new Option(name, name)));
  select.value = names.includes(chosen) ? chosen : (names.find((name) => usable.includes(name)) ?? names[0] ?? '');
  return true;
}
