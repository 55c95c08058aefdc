import { expect, test } from 'vitest';
import { patterns, ranges } from '../src/model/choice';

test('indices are said as ranges, in order', () => {
  expect(ranges([])).toBe('');
  expect(ranges([7])).toBe('7');
  expect(ranges([5, 0, 2, 1, 9, 8])).toBe('0-2,5,8-9');
});

test('all files are said by saying nothing', () => {
  expect(patterns(new Set([0, 1, 2]), 3)).toEqual([]);
  expect(patterns(new Set([0, 2]), 3)).toEqual(['0,2']);
});
