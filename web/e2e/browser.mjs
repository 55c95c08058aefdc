// Chromium for tests: without a sandbox (CI is root), without talk of its own to anybody.

import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

export const ARTEFACTS = process.env.HEXAD_ARTEFACTS ?? fileURLToPath(new URL('../artefacts/', import.meta.url));
mkdirSync(ARTEFACTS, { recursive: true });

const ARGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ARGS });
}

/** A page of its own, whose complaints (errors, refused content, foreign requests) are kept in `complaints`. */
export async function open(browser, address, { width = 1280, height = 800, dark = false, ...rest } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: dark ? 'dark' : 'light', ...rest });
  const page = await context.newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
  page.on('console', (message) => {
    const text = message.text();
    if (message.type() === 'error' && !/Failed to load resource|net::ERR/.test(text)) complaints.push(`console: ${text}`);
  });
  const home = new URL(address).origin;
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== home) complaints.push(`a request elsewhere: ${request.url()}`);
  });
  await page.goto(address);
  return { page, context, complaints };
}

export const shot = (page, name) => page.screenshot({ path: `${ARTEFACTS}/${name}.png` });
