// What stands in the search field, kept while other pages are looked at.

import type { NetworkName } from '../api/types';

class Field {
  text = $state('');
  /** Only these networks are asked; all that can search when empty. */
  on = $state.raw<NetworkName[]>([]);

  /** Puts the cursor into the field as soon as it is there. */
  focus(): void {
    requestAnimationFrame(() => requestAnimationFrame(() => document.querySelector<HTMLInputElement>('#words')?.select()));
  }
}

export const field = new Field();
