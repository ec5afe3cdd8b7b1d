import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type EndpointState, pickEndpoint, UNREAD_TOKENS_MAX } from '../../../../src/core/route/endpoint-pick.ts';

function state(
  name: string,
  changes: Partial<EndpointState> & { share?: number; revision?: string } = {},
): EndpointState {
  const { share = 2, revision = 'r1', ...rest } = changes;
  const endpoint = { instance: name, podUid: name, model: 'm', revision, address: '127.0.0.1:1', share };
  return { endpoint, inFlight: 0, unreadTokens: 0, blockedUntilMs: 0, ...rest };
}

const context = { nowMs: 100, stableRevision: 'r1', failed: new Set<string>() };
const pick = (states: readonly EndpointState[], changes: Partial<typeof context> = {}) =>
  pickEndpoint(states, { ...context, ...changes })?.instance;

describe('picking an endpoint', () => {
  test('takes the one with the most room', () => {
    assert.equal(pick([state('a', { inFlight: 1 }), state('b'), state('c', { share: 3, inFlight: 1 })]), 'b');
    assert.equal(pick([state('a', { inFlight: 1 }), state('b', { share: 1 })]), 'b');
  });

  test('takes the one with the least to read, and none that has two steps to read', () => {
    const reading = (name: string, unreadTokens: number) => state(name, { share: 9, inFlight: 1, unreadTokens });
    assert.equal(pick([reading('a', 500), reading('b', 20), state('c', { inFlight: 1, unreadTokens: 30 })]), 'b');
    assert.equal(pick([reading('a', UNREAD_TOKENS_MAX)]), undefined);
    assert.equal(pick([reading('a', UNREAD_TOKENS_MAX - 1)]), 'a');
    assert.equal(pick([reading('a', UNREAD_TOKENS_MAX), state('b', { share: 1 })]), 'b');
  });

  test('holds nothing back from an upstream', () => {
    const upstream = state('u', { share: 9, inFlight: 1, unreadTokens: 9 * UNREAD_TOKENS_MAX });
    const remote = { model: 'm' } as NonNullable<EndpointState['endpoint']['remote']>;
    assert.equal(pick([{ ...upstream, endpoint: { ...upstream.endpoint, remote } }]), 'u');
  });

  test('takes none that has no room or is blocked', () => {
    assert.equal(
      pick([state('a', { inFlight: 2 }), state('b', { share: 0 }), state('c', { blockedUntilMs: 101 })]),
      undefined,
    );
    assert.equal(pick([state('c', { blockedUntilMs: 100 })]), 'c');
  });

  test('takes the stable revision, and another one only when there is none of it', () => {
    assert.equal(pick([state('old', { revision: 'r0', share: 9 }), state('new')]), 'new');
    assert.equal(pick([state('old', { revision: 'r0' }), state('new', { inFlight: 2 })]), undefined);
    assert.equal(pick([state('old', { revision: 'r0' })]), 'old');
  });

  test('goes back to one that failed only when no other has room', () => {
    const failed = new Set(['a']);
    assert.equal(pick([state('a', { share: 9 }), state('b')], { failed }), 'b');
    assert.equal(pick([state('a'), state('b', { inFlight: 2 })], { failed }), 'a');
  });
});
