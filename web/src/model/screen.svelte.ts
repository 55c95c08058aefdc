// What the reader's screen and wishes are: width, theme, single-key shortcuts. Wishes stay in this browser.

import { MediaQuery } from 'svelte/reactivity';

export type Theme = 'system' | 'light' | 'dark';

const remembered = (key: string) => {
  try {
    return localStorage.getItem(`hexad.${key}`);
  } catch {
    return null;
  }
};

function remember(key: string, value: string): void {
  try {
    localStorage.setItem(`hexad.${key}`, value);
  } catch {
    // A browser that keeps nothing forgets it with the page.
  }
}

const asTheme = (value: string | null): Theme => (value === 'light' || value === 'dark' ? value : 'system');

class Screen {
  #narrow = new MediaQuery('(max-width: 759px)', false);
  #dark = new MediaQuery('(prefers-color-scheme: dark)', false);
  #theme = $state<Theme>(asTheme(remembered('theme')));
  #keys = $state(remembered('keys') !== 'off');
  #choose = $state(remembered('choose') === 'on');

  get narrow(): boolean {
    return this.#narrow.current;
  }

  get theme(): Theme {
    return this.#theme;
  }

  set theme(theme: Theme) {
    this.#theme = theme;
    remember('theme', theme);
    this.show();
  }

  get dark(): boolean {
    return this.#theme === 'dark' || (this.#theme === 'system' && this.#dark.current);
  }

  /** Whether single keys do something while no field has the focus. */
  get keys(): boolean {
    return this.#keys;
  }

  set keys(on: boolean) {
    this.#keys = on;
    remember('keys', on ? 'on' : 'off');
  }

  /** Whether a fetch waits until its files have been chosen. */
  get choose(): boolean {
    return this.#choose;
  }

  set choose(on: boolean) {
    this.#choose = on;
    remember('choose', on ? 'on' : 'off');
  }

  constructor() {
    $effect.root(() => {
      $effect(() => this.show());
    });
  }

  /** Puts the theme that holds on the document: the chosen one, or, where none is, that of the system, whenever it changes. */
  show(): void {
    document.documentElement.dataset.theme = this.dark ? 'dark' : 'light';
  }
}

export const screen = new Screen();
