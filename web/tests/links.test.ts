import { expect, test } from 'vitest';
import { links, wish } from '../src/model/links';
import { magnetOf } from '../src/model/torrent';

const HASH = 'c12fe1c06bba254a9dc9f519b335aa7c1367a88a';

test('words are words, a link is a link, whatever stands around it', () => {
  expect(wish('  blue   film ')).toEqual({ is: 'words', words: ['blue', 'film'] });
  expect(wish('')).toEqual({ is: 'nothing' });
  expect(wish(` magnet:?xt=urn:btih:${HASH}&dn=A+film\n`)).toEqual({ is: 'link', link: `magnet:?xt=urn:btih:${HASH}&dn=A+film`, name: 'A film' });
  expect(wish(HASH)).toEqual({ is: 'link', link: `magnet:?xt=urn:btih:${HASH}`, name: HASH });
  expect(wish('https://host.example/a%20b.torrent?x=1')).toMatchObject({ is: 'link', name: 'a b.torrent' });
  expect(wish('CHK@aaa,bbb,AAMC--8/film.mkv')).toMatchObject({ is: 'link', name: 'film.mkv' });
  expect(wish('urn:hexad:00ff')).toMatchObject({ is: 'link', link: 'magnet:?xt=urn:hexad:00ff' });
});

test('what only looks like a link is searched for', () => {
  expect(wish('https://host.example/page').is).toBe('words');
  expect(wish('magnet fishing').is).toBe('words');
  expect(wish(`${HASH} again`).is).toBe('words');
});

test('a dropped list of links is fetched only when all of it is links', () => {
  expect(links(`# a comment\nmagnet:?xt=urn:btih:${HASH}\r\n\r\nmagnet:?xt=urn:hexad:00`)).toHaveLength(2);
  expect(links(`magnet:?xt=urn:btih:${HASH}\nand a word`)).toEqual([]);
  expect(links('')).toEqual([]);
});

const bytes = (text: string) => new TextEncoder().encode(text) as Uint8Array<ArrayBuffer>;

test('a .torrent becomes a magnet link with its digest, name and trackers', async () => {
  const info = 'd6:lengthi3e4:name5:a.txt12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae';
  const digest = Array.from(new Uint8Array(await crypto.subtle.digest('SHA-1', bytes(info))), (byte) => byte.toString(16).padStart(2, '0')).join('');
  const torrent = `d8:announce17:http://t.example/13:announce-listll17:http://t.example/el17:udp://u.example/aee4:info${info}e`;
  expect(await magnetOf(bytes(torrent))).toBe(`magnet:?xt=urn:btih:${digest}&dn=a.txt&tr=${encodeURIComponent('http://t.example/')}&tr=${encodeURIComponent('udp://u.example/a')}`);
});

test('a hybrid has both digests', async () => {
  const info = 'd12:meta versioni2e4:name1:a12:piece lengthi16384e6:pieces0:e';
  expect(await magnetOf(bytes(`d4:info${info}e`))).toMatch(/^magnet:\?xt=urn:btih:[0-9a-f]{40}&xt=urn:btmh:1220[0-9a-f]{64}&dn=a$/);
});

test.each(['', 'hello', 'd4:info', 'd4:infod4:name999999:ae', 'l'.repeat(500), 'i12', 'd4:infod4:name1:aee', '99999999999:'])('%s is not a torrent', async (text) => {
  await expect(magnetOf(bytes(text))).rejects.toThrow();
});
