import { expect, test } from 'vitest';
import { problemOf } from '../src/api/client';
import { patience } from '../src/api/events';
import type { Download, LabTable } from '../src/api/types';
import { admitting, comparing, counts, isWhole } from '../src/model/downloads';
import { small, wholeNumber } from '../src/model/lab';
import { curves } from '../src/model/series';

const download = (id: number, more: Partial<Download> = {}): Download => ({
  id, name: `file ${id}`, state: 'fetching', source: `magnet:${id}`, on: [], into: '/', wanted_bytes: 100, verified_bytes: 0, down_bytes_per_s: 0, up_bytes_per_s: 0,
  downloaded_bytes: 0, uploaded_bytes: 0, added_s: id, unproven: false, ...more,
});

test('downloads are counted, filtered and ordered by what they are', () => {
  const list = [download(1, { state: 'seeding', verified_bytes: 100 }), download(2, { state: 'paused', verified_bytes: 50 }), download(3, { down_bytes_per_s: 9 }), download(4, { state: 'failed' })];
  expect(counts(list)).toEqual({ all: 4, active: 1, queued: 0, complete: 1, paused: 1, failed: 1 });
  expect(list.filter(admitting('complete', '')).map((one) => one.id)).toEqual([1]);
  expect(list.filter(admitting('all', 'FILE 2')).map((one) => one.id)).toEqual([2]);
  const order = (...by: Parameters<typeof comparing>) => [...list].sort(comparing(...by)).map((one) => one.id);
  expect(order('progress', true)).toEqual([1, 2, 4, 3]);
  expect(order('rate', true)[0]).toBe(3);
  expect(order('added', true)).toEqual([4, 3, 2, 1]);
  const waiting = [download(5, { state: 'queued', place: 5 }), download(6, { state: 'queued', place: -1, completed_s: 9 })];
  expect([counts(waiting).queued, waiting.map(isWhole)]).toEqual([2, [false, true]]);
  expect(waiting.sort(comparing('queue', false)).map((one) => one.id)).toEqual([6, 5]);
});

test('a table whose first column grows is drawn, others are read', () => {
  const table = (rows: LabTable['rows'], units = ['', 'hops', 'hops', 'bytes']): LabTable => ({
    name: 't', title: 'T', columns: units.map((unit, at) => ({ name: `c${at}`, unit })), rows,
  });
  const drawn = curves(table([[64, 3, 3.1, 900], [256, 4, null, 901], [4096, 6, 6.2, 950]]));
  expect([drawn?.x.log, drawn?.lines.map((line) => line.name)]).toEqual([true, ['c1 (hops)', 'c2 (hops)']]);
  expect(curves(table([['a', 1, 2, 3], ['b', 1, 2, 3], ['c', 1, 2, 3]]))).toBeUndefined();
  expect(curves(table([[1, 1, 2, 3], [2, 1, 2, 3]]))).toBeUndefined();
  expect(curves(table([[1, 1, 2, 3], [1, 1, 2, 3], [2, 1, 2, 3]]))).toBeUndefined();
});

test('what refuses says why, and what is no answer of a node is told apart', () => {
  expect(problemOf(404, '{"message":"There is no such search."}')).toEqual({ message: 'There is no such search.' });
  expect(problemOf(502, '<html>').message).toContain('502');
  expect(problemOf(500, 'null').message).toContain('500');
});

test('a broken line is tried again soon, and then less often', () => {
  expect([0, 1, 2, 5, 9, 200].map(patience)).toEqual([500, 1000, 2000, 15_000, 15_000, 15_000]);
});

test('a run from the page is small: as the scenario says, or by its nodes', () => {
  const scenario = (nodes: string, more = {}) => ({ name: 's', about: '', claims: [], parameters: [{ name: 'nodes', default: nodes, help: '' }], ...more });
  expect(['4096', '10k', '1M', '10_000', '3,4', ''].map(wholeNumber)).toEqual([4096, 10_000, 1_000_000, 10_000, undefined, undefined]);
  expect([small(scenario('10k')), small(scenario('200')), small(scenario('10k', { small: { hops: '2' } }))]).toEqual([{ nodes: '1000' }, {}, { hops: '2' }]);
});
