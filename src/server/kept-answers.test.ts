import { expect, test } from 'vitest';
import { KeptAnswers } from './kept-answers.ts';

let nowMs = 0;
const clock = { monotonic: () => nowMs };

test('what is known, or being found, is found once; a failure again after a while', async () => {
  const answers = new KeptAnswers<string>(clock, { answerMs: 100, failureMs: 10, most: 9 });
  const found: string[] = [];
  const find = (answer: string) => async () => {
    found.push(answer);
    return answer;
  };
  const both = [answers.get('a', find('one')), answers.get('a', find('two'))];
  expect(await Promise.all(both)).toEqual(['one', 'one']);
  nowMs += 99;
  expect(await answers.get('a', find('three'))).toBe('one');
  nowMs += 1;
  expect(await answers.get('a', find('four'))).toBe('four');

  const fails = () => Promise.reject(new Error('no'));
  await expect(answers.get('b', fails)).rejects.toThrow('no');
  await expect(answers.get('b', find('too early'))).rejects.toThrow('no');
  nowMs += 10;
  expect(await answers.get('b', find('five'))).toBe('five');
  expect(found).toEqual(['one', 'four', 'five']);
});

test('no more are kept than it may keep: the oldest go', async () => {
  const answers = new KeptAnswers<number>(clock, { answerMs: Infinity, failureMs: 0, most: 2 });
  let found = 0;
  const find = async () => {
    found += 1;
    return found;
  };
  for (const question of ['a', 'b', 'c']) await answers.get(question, find);
  expect(await answers.get('c', find)).toBe(3);
  expect(await answers.get('b', find)).toBe(2);
  expect(await answers.get('a', find)).toBe(4);
});
