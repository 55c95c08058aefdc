import { expect, test } from 'vitest';
import { arrange, ListStore } from '../src/model/list';

type Item = { id: number; name: string };
const store = () => new ListStore<Item>((item) => item.id);
const names = (list: ListStore<Item>) => list.view(() => true, (one, other) => one.id - other.id).map((item) => item.name);

test('a change that arrives while pages are loaded is not put back by an older page', () => {
  const list = store();
  list.beginLoad();
  list.put({ id: 1, name: 'new' });
  list.page([{ id: 1, name: 'old' }, { id: 2, name: 'two' }]);
  list.endLoad();
  expect(names(list)).toEqual(['new', 'two']);
});

test('what was removed while pages are loaded stays removed', () => {
  const list = store();
  list.put({ id: 1, name: 'one' });
  list.beginLoad();
  list.remove(1);
  list.page([{ id: 1, name: 'one' }]);
  list.endLoad();
  expect(names(list)).toEqual([]);
});

test('after a load only what a page or a change has named is left', () => {
  const list = store();
  list.put({ id: 1, name: 'gone meanwhile' });
  list.beginLoad();
  list.page([{ id: 2, name: 'two' }]);
  list.put({ id: 3, name: 'three' });
  list.endLoad();
  expect(names(list)).toEqual(['two', 'three']);
});

test('a load that begins again forgets the one before', () => {
  const list = store();
  list.beginLoad();
  list.page([{ id: 1, name: 'one' }]);
  list.beginLoad();
  list.page([{ id: 2, name: 'two' }]);
  list.endLoad();
  expect(names(list)).toEqual(['two']);
});

test('a change outside of a load is simply so', () => {
  const list = store();
  list.put({ id: 1, name: 'one' });
  list.put({ id: 1, name: 'uno' });
  expect([names(list), list.remove(1), list.remove(1), list.size]).toEqual([['uno'], true, false, 0]);
});

test('a view holds what is admitted of ten thousand, in order', () => {
  const list = store();
  for (let id = 0; id < 10_000; id += 1) list.put({ id, name: `file ${(id * 7919) % 10_000}` });
  const shown = list.view((item) => item.name.includes('9'), (one, other) => (one.name < other.name ? -1 : 1));
  expect([shown.length, shown[0]?.name, shown.at(-1)?.name]).toEqual([3439, 'file 1009', 'file 9999']);
});

test('rows keep their places while somebody points at them, and newcomers wait at the end', () => {
  expect(arrange([3, 1, 2], [1, 4, 2, 3], true)).toEqual([3, 1, 2, 4]);
  expect(arrange([3, 1, 2], [1, 4, 2, 3], false)).toEqual([1, 4, 2, 3]);
  expect(arrange([3, 1, 2], [2, 3], true)).toEqual([3, 2]);
  expect(arrange([], [2, 1], true)).toEqual([2, 1]);
});
