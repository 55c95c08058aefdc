// Two real nodes: a file is shared at one, found and fetched from the other, and is still there when that was killed and started again.
// `cargo xtask tour` builds the program and runs this.
//
//   HEXAD_BIN          the program; without it nothing is tried
//   HEXAD_PATIENCE_S   how long a search or a transfer may take, 120 when not said
//   HEXAD_ARTEFACTS    where screenshots go, web/artefacts when not said

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { launch, open, shot } from './browser.mjs';
import { Node, PATIENCE_MS, temporary } from './hexad.mjs';

const { HEXAD_BIN: BINARY } = process.env;
const skip = BINARY ? false : 'HEXAD_BIN names no program';
const NAME = 'blue film of two nodes.mkv';
const WORDS = 'blue film nodes';

/** Bytes that are the same on every run, and long enough to be several pieces. */
function film() {
  const bytes = Buffer.alloc(3_000_001);
  for (let at = 0, state = 7; at < bytes.length; at += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

const networks = (name, set) => ['--join', name, ...Object.entries(set).flatMap(([key, value]) => ['--set', `networks.${name}.${key}=${value}`])];

/** Looks for `words` until a result is called `name`: publishing takes a moment in some networks. */
async function find(page, words, name) {
  const end = Date.now() + PATIENCE_MS;
  await page.fill('#words', words);
  await page.keyboard.press('Enter');
  const row = page.getByRole('grid', { name: 'Results' }).getByRole('row').filter({ hasText: name }).first();
  for (;;) {
    try {
      await row.waitFor({ timeout: 5000 });
      return row;
    } catch (error) {
      if (Date.now() > end) throw error;
      const more = page.getByRole('button', { name: 'Search more' }).first();
      if (await more.isEnabled({ timeout: 100 }).catch(() => false)) await more.click();
    }
  }
}

test('a file shared at one node is found and fetched from another, and stays when that is killed', { skip }, async () => {
  const home = temporary();
  const [atA, atB] = ['a', 'b'].map((name) => join(home.path, name));
  for (const folder of [atA, atB]) mkdirSync(join(folder, 'shared'), { recursive: true });
  const file = join(home.path, NAME);
  writeFileSync(file, film());
  const running = [];
  const begin = (...how) => {
    const node = new Node(BINARY, ...how);
    running.push(node);
    return node;
  };
  let browser;
  let pages = [];
  try {
    const A = begin(atA, networks('kazaa', { listen: '127.0.0.1:0', found: true, supernode: 'always' }));
    const addressA = await A.address();
    const wordsB = networks('kazaa', { listen: '127.0.0.1:0', bootstrap: await A.door('kazaa'), supernode: 'never' });
    let B = begin(atB, wordsB);
    const addressB = await B.address();
    await B.door('kazaa');

    browser = await launch();
    const [a, b] = (pages = [await open(browser, addressA), await open(browser, addressB)]);
    for (const { page } of pages) page.setDefaultTimeout(PATIENCE_MS);

    await a.page.goto(new URL('#/library', addressA).href);
    await a.page.getByLabel('Files to share').setInputFiles(file);
    await a.page.getByLabel('Words in the name').fill(NAME);
    const share = a.page.getByRole('grid', { name: 'Shares' }).getByRole('row').filter({ hasText: NAME }).first();
    await share.getByText('offered').waitFor();
    await shot(a.page, 'nodes-1-shared');

    const result = await find(b.page, WORDS, NAME);
    await shot(b.page, 'nodes-2-found');
    await result.getByRole('button', { name: `Fetch ${NAME}` }).click();
    await b.page.goto(new URL('#/downloads', addressB).href);
    await b.page.getByRole('grid', { name: 'Downloads' }).getByRole('row').filter({ hasText: NAME }).first().click();
    const pane = b.page.getByRole('region', { name: `Details of ${NAME}` });
    await pane.waitFor();
    await shot(b.page, 'nodes-3-fetching');
    const whole = pane.getByText(/(Complete|Seeding).*\(100 %\)/);
    await whole.waitFor();
    await pane.getByRole('img', { name: /100 percent verified/ }).waitFor();
    await shot(b.page, 'nodes-4-done');
    assert.ok(readFileSync(join(atB, 'downloads', NAME)).equals(film()), 'every byte has come');

    await pane.getByRole('button', { name: 'Files (1)' }).click();
    await b.page.getByRole('grid', { name: 'Files' }).getByRole('row').filter({ hasText: 'done' }).waitFor();
    await pane.getByRole('button', { name: 'Order and limits' }).click();
    await pane.getByLabel('Send at most').fill('700');
    await pane.getByRole('button', { name: 'Apply' }).click();
    await pane.getByRole('button', { name: 'Undo' }).waitFor({ state: 'detached' });

    const { code, signal } = await B.kill();
    assert.deepEqual([code, signal], [null, 'SIGKILL']);
    await b.page.getByText('Not connected').waitFor();
    B = begin(atB, wordsB, new URL(addressB).host);
    assert.equal(await B.address(), addressB);
    await b.page.reload();
    await b.page.getByText('Connected', { exact: true }).waitFor();
    await whole.waitFor();
    await pane.getByRole('button', { name: 'Order and limits' }).click();
    await b.page.waitForFunction(() => [...document.querySelectorAll('input[type=number]')].some((field) => field.value === '700'));
    await shot(b.page, 'nodes-5-still-there');
    assert.deepEqual(pages.flatMap(({ complaints }) => complaints), []);
    assert.deepEqual(await Promise.all([A, B].map((node) => node.stop())), [{ code: 0, signal: null }, { code: 0, signal: null }], 'both end in order');
  } catch (error) {
    for (const [at, { page }] of pages.entries()) await shot(page, `nodes-failed-${'ab'[at]}`).catch(() => {});
    throw error;
  } finally {
    await browser?.close();
    await Promise.all(running.map((node) => node.kill()));
    home.remove();
  }
});
