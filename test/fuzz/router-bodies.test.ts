// Whatever body comes in, on every route: it is served or refused with an error that names what is wrong. Never a mistake of
// ours, never a body that means something else to the engine than to the router.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { request } from 'undici';
import { applyEdits } from '../../src/core/route/body-edits.ts';
import { inferenceRoutes, type RouteName } from '../../src/core/route/inference-routes.ts';
import { parse } from '../../src/router/stage/parse.ts';
import { type FakeSlot, startFakeSlot } from '../support/fake-slot.ts';
import { type RunningRouter, startRouter } from '../support/running-router.ts';

const names = Object.keys(inferenceRoutes) as RouteName[];
const kept = (
  JSON.parse(readFileSync(new URL('./fixtures/bodies.json', import.meta.url), 'utf8')) as { text: string }[]
).map(({ text }) => Buffer.from(text));

/** Objects that look like requests, with wrong values in the right places. */
const values = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom('demo', true, false, null, 0, 1, 128, -1, 1.5, '', [], {}, [[1]], ['a', 1], [{ role: 'user' }]),
);
const fields = fc.constantFrom(
  ...['model', 'messages', 'prompt', 'input', 'stream', 'stream_options', 'n', 'best_of', 'max_tokens'],
  ...['max_completion_tokens', 'include_usage', '__proto__', 'constructor', 'toString'],
);
const lookalike = fc
  .array(fc.tuple(fields, values), { maxLength: 8 })
  .map((members) => `{${members.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`);
/** Good JSON with a few bytes changed. */
const spoiled = fc
  .tuple(lookalike, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }))
  .map(([text, changes]) => {
    const bytes = Buffer.from(text);
    for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
    return bytes;
  });
const bodies = fc.oneof(
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  lookalike.map((text) => Buffer.from(text)),
  spoiled,
  fc.constantFrom(...kept),
);

test('parsing never throws, and what it lets through is JSON with the same meaning', () => {
  fc.assert(
    fc.property(bodies, fc.constantFrom(...names), (bytes, name) => {
      const parsed = parse(bytes, name);
      if (!parsed.ok) {
        assert.match(parsed.error.message, /\.$/);
        return;
      }
      const { fields: read, edits } = parsed.value;
      const asked = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>;
      const sent = JSON.parse(Buffer.from(applyEdits(bytes, edits)).toString('utf8')) as Record<string, unknown>;
      assert.equal(asked.model, read.model);
      assert.ok(read.promptTokens >= 1 && Number.isInteger(read.answers));
      if (name !== 'embeddings') assert.equal(sent.stream ?? false, read.stream);
      const { stream: _, stream_options: __, ...others } = asked;
      for (const [key, value] of Object.entries(others)) assert.deepEqual(sent[key], value);
    }),
    { numRuns: 5000 },
  );
});

let slot: FakeSlot;
let router: RunningRouter;
before(async () => {
  slot = await startFakeSlot();
  router = await startRouter();
  router.table({ endpoints: [{ address: slot.address, share: 64 }] });
  slot.onCall = (call) => (call.body.includes('"stream":true') ? call.stream('x') : call.json({ choices: [] }));
});
after(async () => {
  await router.close();
  await slot.close();
});

test('the router answers every body, and none of them is its mistake', async () => {
  const paths = ['/v1/chat/completions', '/v1/completions', '/v1/embeddings'];
  const all = fc.oneof({ weight: 3, arbitrary: bodies }, { weight: 1, arbitrary: fc.constantFrom(...kept) });
  await fc.assert(
    fc.asyncProperty(all, fc.constantFrom(...paths), async (body, path) => {
      const answer = await request(`${router.url}${path}`, { method: 'POST', body });
      const text = await answer.body.text();
      assert.ok([200, 400, 404].includes(answer.statusCode), `${answer.statusCode} ${text}`);
      if (answer.statusCode !== 200) assert.match(text, /"code":"(invalid_request|model_not_found)"/);
    }),
    { numRuns: 400 },
  );
  assert.equal(
    router.lines.some(({ outcome }) => outcome === 'internal_error'),
    false,
  );
});
