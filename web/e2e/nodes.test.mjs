// Two real nodes: a file is shared at one, found and fetched from the other, and is still there afterwards.
//
//   HEXAD_A, HEXAD_B   addresses of their pages (with ?token=… where they ask for one)
//   HEXAD_FILE         the file to share; its name is what is searched for
//   HEXAD_RESTART_B    a shell command that stops B and starts it again at the same address (may be left out)
//   HEXAD_PATIENCE_S   how long a search or a transfer may take, 120 when not said
//   HEXAD_ARTEFACTS    where screenshots go, web/artefacts when not said

import assert from 'node:assert/strict';
import { execSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { test } from 'node:test';
import { launch, open, shot } from './browser.mjs';

const { HEXAD_A: A, HEXAD_B: B, HEXAD_FILE: FILE, HEXAD_RESTART_B: RESTART } = process.env;
const PATIENCE_MS = Number(process.env.HEXAD_PATIENCE_S ?? 120) * 1000;
const skip = A && B && FILE ? false : 'HEXAD_A, HEXAD_B and HEXAD_FILE name no two nodes and no file';

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

test('a file shared at one node is found and fetched from another, and stays', { skip }, async () => {
  const name = basename(FILE);
  const words = name.replace(/\.[^.]*$/, '').split(/[^\p{L}\p{N}]+/u).filter(Boolean).join(' ');
  const browser = await launch();
  const [a, b] = [await open(browser, A), await open(browser, B)];
  try {
    for (const { page } of [a, b]) page.setDefaultTimeout(PATIENCE_MS);

    await a.page.goto(new URL('#/library', A).href);
    await a.page.getByLabel('Files to share').setInputFiles(FILE);
    await a.page.getByLabel('Words in the name').fill(name);
    const share = a.page.getByRole('grid', { name: 'Shares' }).getByRole('row').filter({ hasText: name }).first();
    await share.getByText('offered').waitFor();
    await shot(a.page, 'nodes-1-shared');

    const result = await find(b.page, words, name);
    await shot(b.page, 'nodes-2-found');
    await result.getByRole('button', { name: `Fetch ${name}` }).click();
    await b.page.goto(new URL('#/downloads', B).href);
    const download = b.page.getByRole('grid', { name: 'Downloads' }).getByRole('row').filter({ hasText: name }).first();
    await download.click();
    const pane = b.page.getByRole('region', { name: `Details of ${name}` });
    await pane.waitFor();
    await shot(b.page, 'nodes-3-fetching');
    await pane.getByText(/(Complete|Seeding).*\(100 %\)/).waitFor();
    await pane.getByRole('img', { name: /100 percent verified/ }).waitFor();
    await shot(b.page, 'nodes-4-done');

    await b.page.reload();
    await pane.getByText(/(Complete|Seeding).*\(100 %\)/).waitFor();
    if (RESTART) {
      execSync(RESTART, { stdio: 'inherit' });
      await b.page.getByText('Connected', { exact: true }).waitFor();
      await pane.getByText(/(Complete|Seeding).*\(100 %\)/).waitFor();
    }
    await shot(b.page, 'nodes-5-still-there');

    const detail = await b.page.evaluate(async (name) => {
      const page = await (await fetch(new URL('api/downloads?limit=1000', document.baseURI))).json();
      return page.items.find((item) => item.name === name);
    }, name);
    assert.equal(detail.verified_bytes, detail.wanted_bytes);
    assert.equal(detail.wanted_bytes, statSync(FILE).size);
    assert.deepEqual([...a.complaints, ...b.complaints], []);
  } catch (error) {
    await shot(a.page, 'nodes-failed-a').catch(() => {});
    await shot(b.page, 'nodes-failed-b').catch(() => {});
    throw error;
  } finally {
    await browser.close();
  }
});
