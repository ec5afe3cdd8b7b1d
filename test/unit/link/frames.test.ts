import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  agentToHubSchema,
  hubToAgentSchema,
  LINK_FRAME_BYTES_MAX,
  LINK_VERSION_MAX,
  LINK_VERSION_SIM,
} from '../../../src/api/link.ts';
import { closeReason, createFrameParser, renderFrame } from '../../../src/link/frames.ts';
import { negotiateVersion } from '../../../src/link/hub-session.ts';
import { target } from '../../support/link-messages.ts';

const parse = createFrameParser(hubToAgentSchema);
const frame = (value: unknown) => parse(Buffer.from(JSON.stringify(value)), false);

test('a message of the schema comes out, without the fields that this release does not know', () => {
  assert.deepEqual(frame({ ...target(1, 2), later: true }), { kind: 'message', message: target(1, 2) });
});

test('an unknown type is told apart from a bad frame, because messages only grow', () => {
  assert.deepEqual(frame({ type: 'weather', anything: 1 }), { kind: 'unknown', type: 'weather' });
});

test('bad frames say what is wrong, and name fields but never values', () => {
  const bad = (bytes: string, isBinary = false) => {
    const parsed = parse(Buffer.from(bytes), isBinary);
    assert.equal(parsed.kind, 'bad');
    return parsed.kind === 'bad' ? parsed.reason : '';
  };
  assert.equal(bad('{"type":"target"', false), 'the frame is not JSON');
  assert.equal(bad('[1]'), 'the frame is not a JSON object');
  assert.equal(bad('null'), 'the frame is not a JSON object');
  assert.equal(bad('{}', true), 'the frame is binary, not JSON text');
  assert.equal(bad('{"type":7}'), 'the message has no type');
  const wrong = bad(JSON.stringify({ ...target(1, 2), keys: [{ version: 1, key: 'hunter2' }] }));
  assert.match(wrong, /^bad target at keys\.0\.key: /);
  assert.doesNotMatch(wrong, /hunter2/);
});

test('the messages of one direction are not accepted in the other', () => {
  const parseReports = createFrameParser(agentToHubSchema);
  assert.equal(parseReports(Buffer.from(JSON.stringify(target(1, 1))), false).kind, 'unknown');
});

test('a frame larger than the bound is not rendered, counted in bytes', () => {
  assert.notEqual(renderFrame({ text: 'x'.repeat(LINK_FRAME_BYTES_MAX - 100) }), undefined);
  assert.equal(renderFrame({ text: 'x'.repeat(LINK_FRAME_BYTES_MAX) }), undefined);
  assert.equal(renderFrame({ text: 'é'.repeat(LINK_FRAME_BYTES_MAX / 2 + 1) }), undefined);
});

test('a close reason is cut to what a control frame carries, at a whole character', () => {
  assert.equal(closeReason('short'), 'short');
  for (const letter of ['x', 'é', '€', '😀']) {
    const cut = closeReason(letter.repeat(200));
    assert.ok(Buffer.byteLength(cut) <= 123, `${Buffer.byteLength(cut)} bytes`);
    assert.ok(Buffer.byteLength(cut) > 110);
    assert.ok(!cut.includes('�'));
  }
});

test('the version is the highest that both speak, or a sentence', () => {
  const router = (min: number, max: number) => negotiateVersion({ role: 'router', versions: { min, max } });
  const agent = (min: number, max: number) => negotiateVersion({ role: 'agent', versions: { min, max } });
  for (const negotiate of [router, agent]) {
    assert.equal(negotiate(1, 1), 1);
    assert.equal(negotiate(1, 9), LINK_VERSION_MAX);
    assert.match(String(negotiate(9, 8)), /^version 9 to 8 is offered/);
  }
  assert.match(
    String(router(8, 9)),
    new RegExp(`^version 8 to 9 is offered, but this hub speaks 1 to ${LINK_VERSION_MAX}`),
  );
  assert.match(String(router(0, 0)), /^version 0 to 0 is offered/);
  // An agent is let in with what it speaks: it is heard, and told nothing.
  assert.equal(agent(8, 9), 8);
  assert.equal(agent(0, 0), 0);
});

test('a peer of the first release is told apart from one that knows launches of Sim', () => {
  assert.ok(Number(negotiateVersion({ role: 'agent', versions: { min: 1, max: 1 } })) < LINK_VERSION_SIM);
  assert.ok(Number(negotiateVersion({ role: 'agent', versions: { min: 1, max: 2 } })) >= LINK_VERSION_SIM);
});
