import { expect, test } from 'vitest';
import { bytes, count, day, figure, moment, named, paced, percent, playing, plural, rate, sentence, span, version } from '../src/model/format';

const plain = (text: string) => text.replaceAll('\u202f', ' ');

test.each([
  [0, '0 B'], [1, '1 B'], [999, '999 B'], [1000, '1.00 kB'], [1536, '1.54 kB'], [12_345, '12.3 kB'], [999_499, '999 kB'], [999_500, '1.00 MB'], [4_200_000_000, '4.20 GB'], [5e15, '5.00 PB'], [7e19, '70000 PB'], [undefined, '–'],
])('%s bytes read %s', (number, text) => expect(plain(bytes(number))).toBe(text));

test.each([[0, '0 s'], [59, '59 s'], [60, '1 min'], [61, '1 min 1 s'], [754, '13 min'], [3600, '1 h'], [11_520, '3 h 12 min'], [90_000, '1 d 1 h'], [172_800, '2 d'], [undefined, '–']])(
  '%s seconds read %s', (number, text) => expect(plain(span(number))).toBe(text),
);

test('what lacks one byte is not done', () => {
  expect([percent(0, 0), percent(0, 10), percent(999_999, 1_000_000), percent(10, 10), percent(11, 10)]).toEqual([0, 0, 99, 100, 100]);
});

test('a rate of nothing is not written', () => expect([rate(0), plain(rate(1_300_000))]).toEqual(['', '1.30 MB/s']));

test('a limit stands beside the rate', () => expect([paced(0, 0), paced(0, 2e6), paced(1_300_000, undefined)].map(plain)).toEqual(['0', '0 of 2.00 MB/s', '1.30 MB/s']));

test('numbers are read in groups', () => expect([count(7), count(1234), count(1_234_567)].map(plain)).toEqual(['7', '1 234', '1 234 567']));

test('a song and a film have their lengths', () => expect([playing(247), playing(3750), playing(9)]).toEqual(['4:07', '1:02:30', '0:09']));

test('one source, several sources', () => expect([plural(1, 'source'), plural(2, 'source'), plural(0, 'entry', 'entries')]).toEqual(['1 source', '2 sources', '0 entries']));

test('today has a time, this year a day, before that a month', () => {
  const now = new Date(2026, 10, 27, 18, 0);
  const at = (date: Date) => date.getTime() / 1000;
  expect(day(at(new Date(2026, 10, 27, 9, 5)), now)).toBe('09:05');
  expect(plain(day(at(new Date(2026, 1, 3)), now))).toBe('3 Feb');
  expect(day(at(new Date(2025, 10, 27)), now)).toBe('Nov 2025');
  expect(moment(at(new Date(2025, 10, 7, 9, 5)), now)).toBe('2025-11-07 09:05');
});

test('a version is a time where it is one, and a number elsewhere', () => {
  const seq = new Date(2025, 10, 27, 18, 5).getTime();
  expect([version(seq), plain(version(1234)), version(0), version(-1)]).toEqual(['2025-11-27 18:05', '1 234', '0', '-1']);
});

test('a figure of a network has its unit', () => {
  const said = (name: string, number: number) => `${plain(named(name, number).number)} ${named(name, number).words}`;
  expect([said('bytes_held', 884_736), said('nodes_estimated', 1840)]).toEqual(['885 kB held', '1 840 nodes estimated']);
});

test.each([[3, '3'], [5.97, '5.97'], [5.5, '5.5'], [0.01234, '0.0123'], [0.000012, '1.20e-5'], [1234.5, '1 235'], [101.26, '101.3'], [-4, '-4']])(
  'a figure of the lab, %s, reads %s', (number, text) => expect(plain(figure(number))).toBe(text),
);

test.each([
  ['there is no run 7', 'There is no run 7.'], ['hexad search prints links', 'hexad search prints links.'], ['/srv/x is not there', '/srv/x is not there.'], ['Is it spelt right?', 'Is it spelt right?'], ['', ''],
])('%s is said as %s', (text, said) => expect(sentence(text)).toBe(said));
