import { describe, expect, it } from 'vitest';
import { evaluatePath, PathNotFound } from './jsonpath.ts';
import { PathSyntaxError } from './jsonpath-parse.ts';

const input = {
  store: {
    book: [
      { title: 'A', price: 8, tags: ['old'] },
      { title: 'B', price: 12 },
      { title: 'C', price: 20, sold: true },
    ],
    bike: { price: 100 },
  },
  'odd.key': 1,
};
const scope = { input, context: { Execution: { Id: 'e1' } }, variables: { limit: 10, list: [1, 2] } };

describe('evaluatePath', () => {
  it.each([
    ['$.store.book[0].title', 'A'],
    ['$.store.book[-1].title', 'C'],
    ["$['odd.key']", 1],
    ['$.store.book[*].title', ['A', 'B', 'C']],
    ['$.store.book[0,2].price', [8, 20]],
    ['$.store.book[0:2].price', [8, 12]],
    ['$.store.book[::2].price', [8, 20]],
    ['$.store.book[-2:].title', ['B', 'C']],
    ['$..price', [8, 12, 20, 100]],
    ['$.store.book[?(@.price < 15 && @.tags)].title', ['A']],
    ["$.store.book[?(@.title == 'B' || @.sold == true)].price", [12, 20]],
    ['$.store.book[?(!(@.tags))].title', ['B', 'C']],
    ['$.store.book[?(@.price > 99)]', []],
    ["$.store.book[1]['title','price']", { title: 'B', price: 12 }],
    ['$$.Execution.Id', 'e1'],
    ['$limit', 10],
    ['$list[1]', 2],
    ['$.store.book.length()', 3],
    ['$..price.sum()', 140],
    ['$.store.bike.keys()', ['price']],
  ])('%s', (path, expected) => {
    expect(evaluatePath(path, scope)).toEqual(expected);
  });

  it('says in Jayway’s words what a definite path does not find', () => {
    expect(() => evaluatePath('$.none', scope)).toThrow(new PathNotFound("No results for path: $['none']"));
    expect(() => evaluatePath('$.no.such', scope)).toThrow(
      new PathNotFound("Missing property in path $['no']"),
    );
    expect(() => evaluatePath('$.store.book[9]', scope)).toThrow(PathNotFound);
    expect(() => evaluatePath('$.constructor', scope)).toThrow(PathNotFound);
  });

  it.each([
    'store',
    '$.',
    '$[',
    "$['a",
    '$.a b',
    '$[?(@.a]',
    '$..',
    '$[0:1:0]',
    '$.a.nothing()',
    '$.a.length().b',
  ])('refuses %s', (path) => {
    expect(() => evaluatePath(path, scope)).toThrow(PathSyntaxError);
  });
});
