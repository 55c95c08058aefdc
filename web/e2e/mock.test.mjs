// What people do with the page, in Chromium, against the mock and the policy that the node serves the page with.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { serve } from '../mock/server.mjs';
import { World } from '../mock/world.mjs';
import { launch, open, shot } from './browser.mjs';

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

/** Runs `act` on a page of a mock of its own; the page must not complain of anything. */
function visit(name, { world = {}, mock = {}, page: how = {} }, act) {
  test(name, async () => {
    const at = new World(world);
    const node = await serve(at, mock);
    const { page, context, complaints } = await open(browser, node.address, how);
    try {
      page.setDefaultTimeout(15_000);
      await act({ page, context, node, world: at, go: (to) => page.goto(`${node.address}#/${to}`) });
      assert.deepEqual(complaints, []);
    } catch (error) {
      await shot(page, `failed-${name.replace(/\W+/g, '-')}`).catch(() => {});
      throw error;
    } finally {
      await context.close();
      await node.close();
    }
  });
}

const literal = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const rows = (page, list) => page.getByRole('grid', { name: list }).getByRole('row');

visit('a search streams in, is narrowed, and a result is fetched until it is done', { world: { size: 4_000_000 }, mock: { prefix: '/behind/a/proxy/' } }, async ({ page, node, world }) => {
  await page.getByRole('textbox', { name: /Words to search for/ }).fill('blue film');
  await page.keyboard.press('Enter');
  await rows(page, 'Results').first().waitFor();
  assert.match(await page.getByText(/^Searching,/).innerText(), /results? so far/);
  await page.getByText(/^\d+ results$/).waitFor();
  const all = Number(await page.getByRole('grid', { name: 'Results' }).getAttribute('aria-rowcount'));
  await shot(page, 'search');
  await page.getByRole('button', { name: /^Only Napster/ }).click();
  const some = Number(await page.getByRole('grid', { name: 'Results' }).getAttribute('aria-rowcount'));
  assert.ok(some > 0 && some < all, `${some} of ${all} are on Napster`);
  await page.getByRole('button', { name: 'Clear' }).click();

  const before = all;
  await page.getByRole('button', { name: 'Search more' }).click();
  await page.waitForFunction((before) => Number(document.querySelector('[role=grid]').getAttribute('aria-rowcount')) > before, before);

  const first = rows(page, 'Results').first();
  const name = await first.locator('.cut').innerText();
  await first.getByRole('button', { name: `Fetch ${name}` }).click();
  await rows(page, 'Results').getByRole('link', { name: new RegExp(`(download of ${literal(name)}|${literal(name)} is here)$`) }).first().click();
  const pane = page.getByRole('region', { name: `Details of ${name}` });
  await pane.getByText(/Seeding.*100 %/).waitFor();
  await pane.getByRole('img', { name: /100 percent verified/ }).waitFor();
  await shot(page, 'download-done');
  await page.reload();
  await page.getByRole('region', { name: `Details of ${name}` }).getByText(/Seeding/).waitFor();
  assert.equal([...world.downloads.values()].filter((download) => download.name === name).length >= 1, true);
  assert.ok(page.url().startsWith(`${node.address}#/downloads/`));
});

visit('nobody has it: the page says what to do', {}, async ({ page }) => {
  await page.fill('#words', 'zzzz');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Nobody here has that' }).waitFor();
});

visit('an empty node says what to do on every page', { world: { downloads: 0, shares: 0 } }, async ({ page, go }) => {
  await go('downloads');
  await page.getByRole('heading', { name: 'Nothing is being fetched' }).waitFor();
  await go('library');
  await page.getByRole('heading', { name: 'You share nothing yet' }).waitFor();
  await shot(page, 'empty-library');
});

visit('ten thousand downloads stay fluid', { world: { downloads: 10_000 } }, async ({ page, go }) => {
  await go('downloads');
  const grid = page.getByRole('grid', { name: 'Downloads' });
  await page.waitForFunction(() => document.querySelector('[role=grid]')?.getAttribute('aria-rowcount') === '10000');
  assert.ok((await rows(page, 'Downloads').count()) < 80, 'only rows in sight are in the document');
  for (const [how, pixels] of [['by wheel', 100], ['thrown', 1800]]) {
    const frames = await grid.evaluate(async (view, pixels) => {
      const took = [];
      let last = performance.now();
      for (let step = 0; step < 120; step += 1) {
        view.scrollTop += pixels;
        await new Promise((next) => requestAnimationFrame(next));
        const now = performance.now();
        took.push(now - last);
        last = now;
      }
      return took.sort((one, other) => one - other);
    }, pixels);
    console.log(`scrolling 10,000 rows, ${how}: median frame ${frames[60].toFixed(1)} ms, 95th percentile ${frames[114].toFixed(1)} ms`);
  }
  await grid.evaluate((view) => (view.scrollTop = view.scrollHeight));
  await page.locator('[aria-rowindex="10000"]').waitFor();
  const began = Date.now();
  await page.getByLabel('Words in the name').fill('lighthouse');
  await page.waitForFunction(() => Number(document.querySelector('[role=grid]').getAttribute('aria-rowcount')) < 10000);
  console.log(`filtering 10,000 rows: ${Date.now() - began} ms`);
  for (const text of await rows(page, 'Downloads').locator('.name').allInnerTexts()) assert.match(text, /lighthouse/i);
});

visit('everything can be done with keys', {}, async ({ page, world }) => {
  await page.getByRole('textbox', { name: /Words to search for/ }).waitFor();
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('2');
  await page.getByRole('heading', { name: 'Downloads' }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.tagName), 'H1');
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });

  await rows(page, 'Downloads').first().focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('j');
  const index = () => page.evaluate(() => document.activeElement.getAttribute('aria-rowindex'));
  assert.equal(await index(), '3');
  await page.keyboard.press('End');
  assert.equal(await index(), '24');
  await page.keyboard.press('Home');
  assert.equal(await index(), '1');
  await page.keyboard.press('Enter');
  await page.getByRole('region', { name: /^Details of/ }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('region', { name: /^Details of/ }).waitFor({ state: 'detached' });

  const fetching = [...world.downloads.values()].find((download) => download.state === 'fetching' && download.wanted_bytes > 5e8);
  await page.locator(`[data-row="${fetching.id}"]`).focus();
  await page.keyboard.press(' ');
  await page.locator(`[data-row="${fetching.id}"]`).getByText('paused').waitFor();
  assert.equal(world.downloads.get(fetching.id).state, 'paused');
  await page.keyboard.press('Delete');
  await page.getByText(/Its files stay where they are/).waitFor();
  assert.equal(world.downloads.has(fetching.id), false);

  await page.keyboard.press('/');
  await page.waitForFunction(() => document.activeElement.id === 'words');
  await page.keyboard.type('night train');
  await page.keyboard.press('Enter');
  await rows(page, 'Results').first().waitFor();
});

visit('files of a running download are chosen and hastened by keys, and its order and limits are changed', {}, async ({ page, go, world }) => {
  // Every fourth one is a folder; the first one is being fetched.
  await go('downloads/1');
  const pane = page.getByRole('region', { name: /^Details of/ });
  await pane.getByRole('button', { name: 'Files (14)' }).click();
  await rows(page, 'Files').nth(2).waitFor();
  const all = world.downloads.get(1).wanted_bytes;
  await rows(page, 'Files').first().focus();
  await page.keyboard.press(' ');
  await page.keyboard.press('j');
  await page.keyboard.press('f');
  await pane.getByText(/^13 of 14 files, /).waitFor();
  await shot(page, 'download-files');
  await pane.getByRole('button', { name: 'Apply' }).click();
  await pane.getByRole('button', { name: 'Files (13 of 14)' }).waitFor();
  assert.deepEqual(world.detail.get(1).select, ['1-13']);
  assert.deepEqual(world.detail.get(1).how.first, ['1']);
  assert.ok(world.downloads.get(1).wanted_bytes < all);
  assert.equal(await pane.getByRole('button', { name: 'Apply' }).count(), 0, 'there is nothing left to say');

  await pane.getByLabel('Words in the path').fill('disc 2'); // and 'disc 1/2'
  await pane.getByLabel('All of these').uncheck();
  await pane.getByLabel('Words in the path').fill('cover');
  await rows(page, 'Files').first().getByRole('checkbox', { name: 'Fetch cover.jpg' }).click();
  await pane.getByText(/^5 of 14 files, /).waitFor();
  await pane.getByRole('button', { name: 'Undo' }).click();
  await pane.getByText(/^13 of 14 files, /).waitFor();
  await pane.getByLabel('Words in the path').fill('');
  await pane.getByLabel('All', { exact: true }).check();
  await pane.getByLabel('All', { exact: true }).uncheck();
  await pane.getByText('Choose at least one file').waitFor();
  assert.ok(await pane.getByRole('button', { name: 'Apply' }).isDisabled());

  await pane.getByRole('button', { name: 'Order and limits' }).click();
  await pane.getByRole('radio', { name: /^In order/ }).check();
  await pane.getByLabel('Receive at most').fill('500');
  await pane.getByLabel('Go on giving').check();
  await pane.getByLabel('until given').fill('1.5');
  await shot(page, 'download-ways');
  await pane.getByRole('button', { name: 'Apply' }).click();
  await pane.getByRole('button', { name: 'Undo' }).waitFor({ state: 'detached' });
  const { how } = world.detail.get(1);
  assert.deepEqual([how.sequential, how.limits.down_bytes_per_s, how.ratio_percent, how.first], [true, 512_000, 150, ['1']]);
  await pane.getByLabel('Folder').fill('films');
  await pane.getByRole('button', { name: 'Move', exact: true }).click();
  await page.getByText(/a full path/i).waitFor();
  await pane.getByLabel('Folder').fill('/mnt/films');
  await pane.getByRole('button', { name: 'Move', exact: true }).click();
  await pane.locator('button:disabled', { hasText: /^Move$/ }).waitFor();
  assert.equal(world.downloads.get(1).into, '/mnt/films');
  await pane.getByRole('button', { name: 'Progress' }).click();
  await pane.getByText(/down .* of 512/).waitFor();
});

visit('with files chosen first nothing comes before that', { page: { width: 360, height: 740, hasTouch: true, isMobile: true } }, async ({ page, go, world }) => {
  await go('settings');
  await page.getByLabel(/Choose files first/).check();
  // The next number is that of a folder.
  while (world.next % 4 !== 1) world.next += 1;
  await drop(page, { text: 'magnet:?xt=urn:btih:a12fe1c06bba254a9dc9f519b335aa7c1367a88a&dn=Album' });
  await page.getByText('Asking what “Album” holds; nothing comes before you have chosen.').waitFor();
  const pane = page.getByRole('region', { name: 'Details of Album' });
  await rows(page, 'Files').nth(2).waitFor();
  const download = () => [...world.downloads.values()].find((one) => one.name === 'Album');
  assert.deepEqual([download().state, download().downloaded_bytes], ['paused', 0]);
  await pane.getByLabel('All', { exact: true }).uncheck();
  await rows(page, 'Files').nth(1).tap();
  await shot(page, 'phone-choose-files');
  await pane.getByRole('button', { name: 'Fetch 1 file' }).tap();
  await pane.getByRole('button', { name: 'Files (1 of 14)' }).waitFor();
  await pane.getByText(/^(Fetching|Seeding|Complete)/).waitFor();
  assert.deepEqual(world.detail.get(download().id).select, ['1']);
});

visit('when the node goes away the page says so, and loads again when it is back', {}, async ({ page, node, go }) => {
  await go('downloads');
  await rows(page, 'Downloads').first().waitFor();
  await node.close();
  await page.getByText(/The node does not answer\. What you see is from \d\d:\d\d\./).waitFor();
  await page.getByText('Not connected').waitFor();
  await shot(page, 'offline');
  const again = await serve(new World({ downloads: 3 }), { port: node.port });
  try {
    await page.getByRole('button', { name: 'Try now' }).click();
    await page.getByText('Connected', { exact: true }).waitFor();
    await page.waitForFunction(() => document.querySelector('[role=grid]')?.getAttribute('aria-rowcount') === '3');
    assert.equal(await page.getByText(/The node does not answer/).count(), 0);
  } finally {
    await page.close();
    await again.close();
  }
});

/** Drops files or text on the page, as the browser's own events. */
function drop(page, what) {
  return page.evaluate(({ files = [], text }) => {
    const transfer = new DataTransfer();
    for (const { name, body } of files) transfer.items.add(new File([new Uint8Array(body)], name));
    if (text) transfer.setData('text/plain', text);
    for (const kind of ['dragenter', 'dragover', 'drop']) window.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: transfer }));
  }, what);
}

visit('a dropped file is shared, a dropped link and a dropped .torrent are fetched, so is a pasted link', {}, async ({ page, world, go }) => {
  await go('library');
  await drop(page, { files: [{ name: 'my holiday.mkv', body: Array(3000).fill(7) }] });
  await page.getByText(/Sharing “my holiday.mkv”/).waitFor();
  const share = () => [...world.shares.values()].find((one) => one.name === 'my holiday.mkv');
  await page.waitForFunction(() => document.body.innerText.includes('my holiday.mkv'));
  await page.getByLabel('Words in the name').fill('holiday');
  await rows(page, 'Shares').first().getByText('offered').waitFor();
  assert.equal(share().bytes, 3000);
  await rows(page, 'Shares').first().getByRole('button', { name: /Copy the link/ }).click();
  await page.getByText('Link copied.').waitFor();

  await drop(page, { text: 'magnet:?xt=urn:btih:c12fe1c06bba254a9dc9f519b335aa7c1367a88a&dn=Dropped' });
  await page.getByText('Fetching “Dropped”.').waitFor();
  const info = 'd6:lengthi3e4:name5:a.txt12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae';
  await drop(page, { files: [{ name: 'a.torrent', body: [...Buffer.from(`d4:info${info}e`)] }] });
  await page.getByText('Fetching “a.txt”.').waitFor();
  await drop(page, { files: [{ name: 'broken.torrent', body: [1, 2, 3] }] });
  await page.getByText(/“broken.torrent” cannot be read as a torrent/).waitFor();

  await page.evaluate(() => {
    const clipboardData = new DataTransfer();
    clipboardData.setData('text/plain', 'magnet:?xt=urn:btih:d12fe1c06bba254a9dc9f519b335aa7c1367a88a&dn=Pasted');
    document.body.dispatchEvent(new ClipboardEvent('paste', { bubbles: true, clipboardData }));
  });
  await page.getByText('Fetching “Pasted”.').waitFor();
  const sources = [...world.downloads.values()].map((download) => download.name);
  for (const name of ['Dropped', 'a.txt', 'Pasted']) assert.ok(sources.includes(name), name);
});

visit('a node that wants its token is opened with it', { mock: { token: 'open sesame' } }, async ({ page }) => {
  await page.getByRole('heading', { name: 'This node asks who you are' }).waitFor();
  await page.getByLabel('Token').fill('open sesame');
  await page.getByRole('button', { name: 'Open' }).click();
  await page.getByText('Connected', { exact: true }).waitFor();
  await page.getByRole('heading', { name: /^Search/ }).waitFor();
});

visit('what a filter shows is paused, resumed and cleared at once', {}, async ({ page, go, world }) => {
  const among = (...states) => [...world.downloads.values()].filter((download) => states.includes(download.state)).length;
  await go('downloads');
  await page.getByRole('button', { name: /^Active/ }).click();
  await page.getByRole('button', { name: 'Pause all' }).click();
  await page.getByText(/^Paused \d+ downloads\.$/).waitFor();
  assert.equal(among('fetching', 'looking', 'checking'), 0);
  await page.getByRole('heading', { name: /^None of/ }).waitFor();
  await page.getByRole('button', { name: /^Complete/ }).click();
  await page.getByRole('button', { name: 'Clear from list' }).click();
  await page.getByText(/Their files stay where they are/).waitFor();
  assert.equal(among('complete', 'seeding'), 0);
});

visit('the next words can be typed while results stream in', {}, async ({ page }) => {
  await page.fill('#words', 'blue film');
  await page.keyboard.press('Enter');
  await rows(page, 'Results').first().waitFor();
  await page.fill('#words', 'night');
  await page.getByText(/^\d+ results$/).waitFor();
  assert.equal(await page.inputValue('#words'), 'night');
});

visit('a link that can be changed says which version it leads to, and whether there is a newer one', { world: { downloads: 3, shares: 8 } }, async ({ page, go, world }) => {
  const share = [...world.shares.values()].find((one) => one.state === 'offered');
  const link = 'magnet:?xs=urn:btpk:5f0c&s=61';
  const seq = new Date(2025, 10, 27, 18, 5).getTime();
  share.mutable = { link, now: { seq, info_hash: '01'.repeat(20) } };
  await go('library');
  const ask = async () => {
    await page.getByRole('button', { name: `How others reach ${share.name}` }).click();
    return page.getByRole('dialog', { name: `How others reach ${share.name}` });
  };
  let dialog = await ask();
  await dialog.getByText(link).waitFor();
  assert.match(await dialog.innerText(), /Version 2025-11-27 18:05/);
  assert.doesNotMatch(await dialog.innerText(), /Somebody else/);
  await dialog.getByRole('button', { name: 'Close' }).click();
  share.mutable.newer = { seq: seq + 60_000, info_hash: '02'.repeat(20) };
  dialog = await ask();
  await dialog.getByText(/Somebody else has its key.*version 2025-11-27 18:06 is (02){20}/).waitFor();
  await shot(page, 'mutable');
  await dialog.getByRole('button', { name: 'Close' }).click();

  const [older, newer] = [...world.downloads.values()];
  Object.assign(older, { seq: 7, newer: newer.id });
  world.tell({ kind: 'download', download: { ...older } });
  await go(`downloads/${older.id}`);
  await page.getByText('Version', { exact: true }).waitFor();
  await page.getByRole('link', { name: 'a newer one has come' }).click();
  await page.waitForURL(new RegExp(`downloads/${newer.id}$`));
  assert.equal(await page.getByText('Version', { exact: true }).count(), 0);
});

visit('a share is moved to the folder that is named, and the node says what is wrong with one', { world: { shares: 8 } }, async ({ page, go, world }) => {
  const share = [...world.shares.values()].find((one) => one.state === 'offered');
  await go('library');
  await page.getByRole('button', { name: `How others reach ${share.name}` }).click();
  const dialog = page.getByRole('dialog', { name: `How others reach ${share.name}` });
  await dialog.getByLabel('Folder').fill('films');
  await dialog.getByRole('button', { name: 'Move', exact: true }).click();
  await page.getByText(/a full path/i).waitFor();
  await dialog.getByLabel('Folder').fill('/mnt/films');
  await shot(page, 'share-move');
  await dialog.getByRole('button', { name: 'Move', exact: true }).click();
  await dialog.getByText(/on its way from/).waitFor();
  assert.equal(world.shares.get(share.id).moving_to, '/mnt/films');
  assert.ok(await dialog.getByRole('button', { name: 'Move', exact: true }).isDisabled());
});

visit('a share that is moved says how far it is, and why where it cannot be', { world: { shares: 8 } }, async ({ page, go, world }) => {
  const share = [...world.shares.values()].find((one) => one.state === 'offered');
  await go('library');
  await page.getByLabel('Words in the name').fill(share.name);
  Object.assign(share, { moving_to: '/mnt/films', moved_bytes: share.bytes * 0.4 });
  world.tell({ kind: 'share', share: { ...share } });
  await rows(page, 'Shares').getByText('moving 40 %').waitFor();
  delete share.moving_to;
  share.problem = { message: 'it could not be moved to /mnt/films' };
  world.tell({ kind: 'share', share: { ...share } });
  await rows(page, 'Shares').getByText('it could not be moved to /mnt/films').waitFor();
});

visit('what the node refuses is said in its words', {}, async ({ page, go, world }) => {
  await go('library');
  await page.getByLabel(/Add by path/).fill('/nowhere/film.mkv');
  await page.getByRole('button', { name: 'Share once' }).click();
  const alert = page.getByRole('alert');
  assert.match(await alert.innerText(), /is not there\.\s+Is it spelt right/);
  await page.getByRole('button', { name: 'Put away' }).click();
  await alert.waitFor({ state: 'detached' });
  await page.getByLabel(/Add by path/).fill('/srv/new');
  await page.getByRole('button', { name: 'Watch folder' }).click();
  await page.getByRole('button', { name: 'Stop watching /srv/new' }).waitFor();
  assert.ok(world.dirs.has('/srv/new'));
});

visit('six networks are drawn, with every peer that the node names; one is left and joined again', {}, async ({ page, go, world }) => {
  await go('networks');
  await page.waitForFunction(() => document.querySelectorAll('main svg[role=img]').length === 6);
  await shot(page, 'networks');
  await page.getByRole('link', { name: /^Chord, joined/ }).click();
  const drawing = page.getByRole('img', { name: /linked with \d+ peers, drawn as a ring/ });
  await drawing.waitFor();
  assert.equal(await drawing.locator('g.node').count(), world.networks.overlay('chord').peers.length + 1);
  assert.equal(await page.getByRole('table').getByRole('row').count(), world.networks.overlay('chord').peers.length + 1);
  await page.getByRole('button', { name: 'Leave' }).click();
  await page.getByText('Not joined: nobody is linked').waitFor();
  await page.getByRole('button', { name: 'Join' }).click();
  await page.getByRole('button', { name: 'Leave' }).waitFor();
  await drawing.waitFor();
});

visit('the lab runs a scenario and draws it', {}, async ({ page, go }) => {
  await go('lab');
  await page.getByLabel('nodes', { exact: false }).first().fill('1024');
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.getByRole('progressbar', { name: 'Done of the phase' }).waitFor();
  await page.getByRole('img', { name: /Hops of a lookup by nodes/ }).locator('canvas').waitFor();
  await page.getByRole('cell', { name: 'find_successor' }).waitFor();
  await page.getByRole('button', { name: /Copy the line that repeats it/ }).waitFor();
  await shot(page, 'lab');
  await page.reload();
  await page.getByRole('cell', { name: 'find_successor' }).waitFor();
});

visit('settings are kept, and what needs a restart is said', {}, async ({ page, go, world }) => {
  await go('settings');
  await page.getByLabel('Downloads go to').fill('/mnt/large');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText(/Takes effect when hexad is started again: download_dir/).waitFor();
  assert.equal(world.settings.download_dir, '/mnt/large');
  await page.getByLabel('Receive at most').fill('500');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('on all networks together').waitFor();
  await page.getByRole('button', { name: 'Undo changes' }).waitFor({ state: 'detached' });
  assert.deepEqual(world.settings.limits, { down_bytes_per_s: 512_000, up_bytes_per_s: 0 });
  await page.getByRole('radio', { name: 'Dark' }).check({ force: true });
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await paper();
  await page.reload();
  await page.getByRole('heading', { name: 'Settings' }).waitFor();
  assert.equal(await paper(), dark);
  assert.equal(dark, 'rgb(23, 24, 27)');
});

const PAGES = ['search', 'downloads', 'downloads/1', 'library', 'networks', 'networks/kazaa', 'lab', 'settings'];

visit('a phone of 360 pixels shows every page without scrolling sideways', { page: { width: 360, height: 740, hasTouch: true, isMobile: true, reducedMotion: 'reduce' } }, async ({ page, go }) => {
  await page.fill('#words', 'blue film');
  await page.keyboard.press('Enter');
  await rows(page, 'Results').first().waitFor();
  await shot(page, 'phone-search');
  for (const at of PAGES) {
    await go(at);
    await page.locator('main h1, main h2').first().waitFor();
    const wide = await page.evaluate(() => [...document.querySelectorAll('main *')].filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.unseen, .filters, .tabs, .table, svg')).map((one) => `${one.tagName}.${one.getAttribute('class')}`));
    assert.deepEqual(wide, [], at);
    await shot(page, `phone-${at.replace('/', '-')}`);
  }
});

for (const dark of [false, true]) {
  visit(`everything has a name for screen readers and can be read, ${dark ? 'dark' : 'light'}`, { page: { dark } }, async ({ page, context, go }) => {
    const cdp = await context.newCDPSession(page);
    for (const at of PAGES) {
      await go(at);
      await page.locator('main h1').first().waitFor({ state: 'attached' });
      await page.waitForFunction(() => document.querySelectorAll('main *').length > 12);
      assert.equal(await page.locator('main').count(), 1);
      assert.equal(await page.locator('h1').count(), 1, at);
      const { nodes } = await cdp.send('Accessibility.getFullAXTree');
      const nameless = nodes.filter((node) => !node.ignored && ['button', 'link', 'textbox', 'searchbox', 'checkbox', 'radio', 'combobox', 'grid', 'progressbar', 'image', 'dialog', 'navigation'].includes(node.role?.value) && !node.name?.value);
      assert.deepEqual(nameless.map((node) => `${at}: ${node.role.value} ${JSON.stringify(node.properties)}`), []);
      await shot(page, `${dark ? 'dark' : 'light'}-${at.replace('/', '-')}`);
    }
    const pale = await page.evaluate(() => {
      const canvas = document.createElement('canvas').getContext('2d');
      const light = (name) => {
        canvas.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
        const [r, g, b] = [1, 3, 5].map((at) => parseInt(canvas.fillStyle.slice(at, at + 2), 16) / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const contrast = (one, other) => {
        const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
      };
      const inks = ['ink', 'ink-2', 'ink-3', 'accent', 'good', 'warn', 'bad', 'bittorrent', 'chord', 'freenet', 'gnutella', 'kazaa', 'napster'];
      const pairs = [...inks.flatMap((ink) => ['paper', 'side', 'raised', 'hover'].map((ground) => [ink, ground])), ['on-solid', 'solid'], ['ink', 'accent-2'], ['ink-2', 'accent-2'], ['ink', 'warn-2'], ['ink-2', 'warn-2'], ['ink-2', 'sunk']];
      return pairs.map((pair) => [...pair, contrast(...pair).toFixed(2)]).filter(([, , at]) => at < 4.5);
    });
    assert.deepEqual(pale, []);
  });
}
