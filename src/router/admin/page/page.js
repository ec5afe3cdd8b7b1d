// The status page: asks for /status.json each second while somebody looks, and starts the chat box.
import { createChat } from './chat.js';
import { createModelTable, renderSummary } from './models.js';

const POLL_EVERY_MS = 1000;
const POLL_MS_MAX = 5000;

const element = (id) => document.getElementById(id);
const summary = element('summary');
const table = createModelTable(element('models'));
const chat = createChat({
  model: element('model'),
  thread: element('thread'),
  empty: element('thread-empty'),
  form: element('ask'),
  question: element('question'),
  send: element('send'),
  stop: element('stop'),
  fresh: element('fresh'),
  key: element('key'),
});

function say(text, failed) {
  summary.classList.toggle('failed', failed);
  // Figures change each second: a screen reader says only that the answers have stopped.
  summary.setAttribute('aria-live', failed ? 'polite' : 'off');
  if (summary.textContent !== text) summary.textContent = text;
}

async function readStatus() {
  const response = await fetch('/status.json', { cache: 'no-store', signal: AbortSignal.timeout(POLL_MS_MAX) });
  if (!response.ok) throw new Error(`The status has the code ${response.status}.`);
  return response.json();
}

async function poll() {
  try {
    const status = await readStatus();
    say(renderSummary(status), false);
    table.show(status.models);
    element('models-empty').hidden = !status.ready || status.models.length > 0;
    const names = status.models.map((model) => model.servedName).toSorted();
    chat.offer(
      names,
      status.models.filter((model) => model.failure === undefined).map((model) => model.servedName),
    );
  } catch {
    say('Stoker does not answer. The figures below are old.', true);
  }
}

// One poll at a time, and none while the page is hidden.
let timer;
let polling = false;

async function pollAndArm() {
  clearTimeout(timer);
  if (polling || document.hidden) return;
  polling = true;
  await poll();
  polling = false;
  timer = setTimeout(pollAndArm, POLL_EVERY_MS);
}

document.addEventListener('visibilitychange', pollAndArm);
pollAndArm();
