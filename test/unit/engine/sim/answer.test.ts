// What the simulated model says: the same for the same question, other words for another, whole sentences, exact lengths.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { ChatMessage } from '../../../../src/engine/llama/chat-messages.ts';
import { greedySampling, type Sampling } from '../../../../src/engine/llama/sampling.ts';
import { type AnswerSource, composeAnswer, composeProbe } from '../../../../src/engine/sim/answer.ts';
import { countPromptTokens, describeQuestion } from '../../../../src/engine/sim/question.ts';
import { textOf, VOCABULARY_TOKENS, wordsOf } from '../../../../src/engine/sim/vocabulary.ts';

const source = { seed: 1, damage: undefined, question: 'q' };
const spell = (tokens: readonly number[]) => tokens.map((token, at) => textOf(token, at === 0)).join('');
const hot: Sampling = { ...greedySampling, temperature: 1 };
const user = (text: string): ChatMessage[] => [{ role: 'user', text }];

describe('vocabulary', () => {
  test('no word is there twice, so every word has one token of its own', () => {
    const words = Object.values(wordsOf).flat();
    assert.equal(new Set(words).size, words.length);
    const texts = Array.from({ length: VOCABULARY_TOKENS }, (_, token) => textOf(token, false));
    assert.equal(new Set(texts).size, VOCABULARY_TOKENS);
  });
});

describe('an answer', () => {
  test('is sentences of words', () => {
    const { tokens, finish } = composeAnswer(source, 10_000);
    assert.equal(finish, 'stop');
    const text = spell(tokens);
    assert.match(text, /^([A-Z][a-z]*( [a-z]+)*(, [a-z]+( [a-z]+)*)?\. ?)+$/);
    assert.ok(tokens.length > 5, text);
  });

  test('depends on seed, prompt, sampling seed and damage, and on nothing else', () => {
    const said = (given: Partial<AnswerSource>) => spell(composeAnswer({ ...source, ...given }, 60).tokens);
    assert.equal(said({}), said({}));
    const all = [said({}), said({ seed: 2 }), said({ question: 'p' }), said({ damage: 'wake 1' })];
    assert.equal(new Set(all).size, 4);
  });

  test('holds at most what is asked for, and says when it would have gone on', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 400 }), (question, tokensMax) => {
        const whole = composeAnswer({ ...source, question }, 10_000);
        const { tokens, finish } = composeAnswer({ ...source, question }, tokensMax);
        assert.ok(tokens.length >= 1 && tokens.length <= tokensMax);
        assert.equal(finish, whole.tokens.length <= tokensMax ? 'stop' : 'length');
        assert.deepEqual(tokens, whole.tokens.slice(0, tokensMax));
      }),
    );
  });

  test('a probe has as many tokens as asked, each with a log-probability, and shows damage', () => {
    const probe = composeProbe(source, 8);
    assert.equal(probe.tokenIds.length, 8);
    assert.ok(probe.logprobs.every((text) => /^-[0-3]\.[0-9]{6}$/.test(text)));
    assert.deepEqual(composeProbe(source, 8), probe);
    assert.notDeepEqual(composeProbe({ ...source, damage: 'wake 1' }, 8).tokenIds, probe.tokenIds);
  });
});

describe('a question', () => {
  test('counts a token for four characters, and the marks of messages', () => {
    assert.equal(countPromptTokens(user('')), 7);
    assert.equal(countPromptTokens(user('abcde')), 9);
    assert.equal(countPromptTokens([...user('abcd'), ...user('abcd')]), 13);
  });

  test('at temperature 0 sampling does not matter, above it everything does', () => {
    const ask = (sampling: Partial<Sampling>, text = 'a') => describeQuestion(user(text), { ...hot, ...sampling });
    assert.equal(ask({ temperature: 0, seed: 1 }), ask({ temperature: 0, seed: 2 }));
    const all = [ask({}), ask({ seed: 2 }), ask({ topP: 0.5 }), ask({ temperature: 0.5 }), ask({}, 'b')];
    assert.equal(new Set(all).size, all.length);
  });

  test('messages cannot be shifted into one another', () => {
    const two: ChatMessage[] = [...user('a'), ...user('b')];
    assert.notEqual(describeQuestion(two, greedySampling), describeQuestion(user('auser 1 b'), greedySampling));
  });
});
