// The table of models and the sentence above it, from one reading of /status.json. Text reaches the page as text only.
// A row is made once and then changed where it differs, so that reading and selecting are not disturbed.

const kinds = {
  Awake: 'awake',
  Starting: 'moving',
  Waking: 'moving',
  Draining: 'moving',
  Sleeping: 'moving',
  Stopping: 'moving',
  Asleep: 'asleep',
  Failed: 'failed',
};

/** "0.8 s", "12 s" or "3 min". */
export function renderMs(ms) {
  if (ms < 10_000) return `${Math.max(0.1, Math.round(ms / 100) / 10).toFixed(1)} s`;
  return ms < 120_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`;
}

export function renderReadyIn({ awake, etaMs, failure }) {
  if (awake > 0) return 'now';
  return failure !== undefined || etaMs <= 0 ? '–' : `≈ ${renderMs(etaMs)}`;
}

export function renderSummary({ ready, models }) {
  if (!ready) return 'Waiting for the controller. No model can be served yet.';
  const awake = models.filter((model) => model.awake > 0).length;
  const queued = models.reduce((sum, model) => sum + model.queued, 0);
  const inFlight = models.reduce((sum, model) => sum + model.inFlight, 0);
  const parts = [`${models.length} ${models.length === 1 ? 'model' : 'models'}`, `${awake} awake`];
  return [...parts, `${queued} queued`, `${inFlight} in flight`].join(' · ');
}

/** Keeps the rows of `body` equal to the models it is given. */
export function createModelTable(body) {
  const rows = new Map();
  return {
    show(models) {
      const sorted = models.toSorted((a, b) => (a.servedName < b.servedName ? -1 : 1));
      const named = new Set(sorted.map((model) => model.model));
      for (const [name, row] of rows) {
        if (named.has(name)) continue;
        row.element.remove();
        rows.delete(name);
      }
      for (const [index, model] of sorted.entries()) {
        const row = rows.get(model.model) ?? createRow();
        rows.set(model.model, row);
        if (body.children[index] !== row.element) body.insertBefore(row.element, body.children[index] ?? null);
        row.show(model);
      }
    },
  };
}

function createRow() {
  const element = document.createElement('tr');
  const head = document.createElement('th');
  head.scope = 'row';
  const name = document.createElement('span');
  const failure = document.createElement('span');
  failure.className = 'failure';
  head.append(name, failure);
  const rung = document.createElement('span');
  const rungCell = document.createElement('td');
  rungCell.append(rung);
  const figures = Array.from({ length: 4 }, () => {
    const cell = document.createElement('td');
    cell.className = 'figure';
    return cell;
  });
  element.append(head, rungCell, ...figures);
  return {
    element,
    show(model) {
      setText(name, model.servedName);
      setText(failure, model.failure === undefined ? '' : `${model.failure.reason}: ${model.failure.message}`);
      setText(rung, model.rung);
      const kind = `rung ${kinds[model.rung] ?? ''}`;
      if (rung.className !== kind) rung.className = kind;
      const texts = [renderReadyIn(model), model.awake, model.queued, model.inFlight];
      for (const [index, text] of texts.entries()) setText(figures[index], String(text));
    },
  };
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
