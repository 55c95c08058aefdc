import { expect, test } from 'vitest';
import type { Result } from '../src/api/types';
import { admits, comparing, facets, marked, NO_FILTER } from '../src/model/facets';

const result = (number: number, more: Partial<Result> = {}): Result => ({
  result: number, name: `file ${number}`, link: `magnet:${number}`, proven: true, networks: ['chord'], sources: 1, rank: number, ...more,
});
const results = [
  result(0, { kind: 'audio', size_bytes: 5e6, networks: ['chord', 'kazaa'] }), result(1, { kind: 'audio', size_bytes: 5e8, proven: false }),
  result(2, { kind: 'video', size_bytes: 2e9, networks: ['kazaa'] }), result(3, { networks: ['napster'] }),
];
const left = (filter: Partial<typeof NO_FILTER>) => results.filter((one) => admits(one, { ...NO_FILTER, ...filter })).map((one) => one.result);

test('filters narrow, each in its way', () => {
  expect(left({})).toEqual([0, 1, 2, 3]);
  expect(left({ kind: 'audio' })).toEqual([0, 1]);
  expect(left({ kind: 'other' })).toEqual([3]);
  expect(left({ networks: ['kazaa', 'napster'] })).toEqual([0, 2, 3]);
  expect(left({ size: 'large' })).toEqual([1]);
  expect(left({ proven: true })).toEqual([0, 2, 3]);
});

test('a choice says how many it would show, the other filters being as they are', () => {
  const counted = facets(results, { ...NO_FILTER, kind: 'audio' });
  expect([counted.all, counted.kinds.get('video'), counted.networks.get('chord'), counted.networks.get('kazaa'), counted.networks.get('napster')]).toEqual([4, 1, 2, 1, 0]);
});

test('results of one rank have an order all the same', () => {
  const equal = [result(2, { rank: 0 }), result(1, { rank: 0 }), result(0, { rank: 1 })];
  expect(equal.sort(comparing('rank', false)).map((one) => one.result)).toEqual([1, 2, 0]);
  expect([...results].sort(comparing('size', true)).map((one) => one.result)).toEqual([2, 1, 0, 3]);
});

test('words are marked where they stand, whatever signs they hold', () => {
  expect(marked('Blue film (blue)', ['blue', '(', 'film'])).toEqual([
    { text: 'Blue', hit: true }, { text: ' ', hit: false }, { text: 'film', hit: true }, { text: ' (', hit: false }, { text: 'blue', hit: true }, { text: ')', hit: false },
  ]);
  expect(marked('a+b', ['a+b'])).toEqual([{ text: 'a+b', hit: true }]);
});
