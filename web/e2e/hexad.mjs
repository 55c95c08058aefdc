// Real nodes for tests: the program itself, on free ports of loopback, in a folder of its own that goes with it.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Everything that is waited for comes within this time, or has failed. */
export const PATIENCE_MS = Number(process.env.HEXAD_PATIENCE_S ?? 120) * 1000;

export function temporary() {
  const path = mkdtempSync(join(tmpdir(), 'hexad-tour-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** One node: `hexad up` until it is stopped. What it says on stdout is what is waited for. */
export class Node {
  #program;
  #said = [];
  #waiting = new Set();
  #ended;

  /** `at` is where its page is, `HOST:PORT`; the same words and the same folder make the same node again. */
  constructor(binary, home, words, at = '127.0.0.1:0') {
    const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('HEXAD_')));
    const folders = ['--state', join(home, 'state'), '--downloads', join(home, 'downloads'), '--share', join(home, 'shared')];
    this.#program = spawn(binary, ['up', '--json', '--http', at, ...folders, ...words], {
      stdio: ['ignore', 'pipe', 'inherit'], env: { ...environment, HOME: home, XDG_CONFIG_HOME: join(home, 'config') },
    });
    this.#ended = new Promise((resolve) => this.#program.once('exit', (code, signal) => {
      for (const look of this.#waiting) look();
      resolve({ code, signal });
    }));
    this.#program.once('error', (error) => console.error(`${binary}: ${error.message}`));
    createInterface({ input: this.#program.stdout }).on('line', (line) => {
      this.#said.push(JSON.parse(line));
      for (const look of this.#waiting) look();
    });
  }

  /** The first thing it says, or has said, that is `wanted`. */
  hear(what, wanted) {
    return new Promise((resolve, reject) => {
      const end = (act, value) => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        act(value);
      };
      const look = () => {
        const found = this.#said.find(wanted);
        if (found !== undefined) end(resolve, found);
        else if (this.#program.exitCode !== null || this.#program.signalCode !== null) end(reject, new Error(`a node has ended before ${what}`));
      };
      const timer = setTimeout(() => end(reject, new Error(`waited in vain for ${what}`)), PATIENCE_MS);
      this.#waiting.add(look);
      look();
    });
  }

  async address() {
    return (await this.hear('its page is there', (said) => said.event === 'listening')).address;
  }

  /** Where others get in to one of its networks, once it is joined. */
  async door(name) {
    const joined = ({ kind, network }) => kind === 'network' && network.name === name && network.state === 'joined' && network.doors.length > 0;
    return (await this.hear(`${name} is joined`, joined)).network.doors[0].address;
  }

  /** Stops it in order. */
  async stop() {
    this.#program.kill('SIGTERM');
    return this.#ended;
  }

  /** Ends it as a crash would. */
  async kill() {
    this.#program.kill('SIGKILL');
    return this.#ended;
  }
}
