// What the page says in passing: one line at the edge, read aloud by screen readers, gone after a while unless it is a problem.

import { Refused } from '../api/client';
import type { Problem } from '../api/types';
import { sentence } from './format';

export type Notice = { id: number; text: string; hint?: string; bad: boolean; action?: { name: string; run: () => void } };

const STAYS_MS = 6000;
const NOTICES_MAX = 3;

class Notices {
  list = $state.raw<Notice[]>([]);
  #next = 1;

  say(text: string, action?: Notice['action']): void {
    const id = this.#add({ text, bad: false, ...(action ? { action } : {}) });
    setTimeout(() => this.drop(id), action ? STAYS_MS * 1.5 : STAYS_MS);
  }

  /** A problem stays until it is put away, or others push it out. */
  complain(problem: Problem | unknown): void {
    const known: Problem =
      problem instanceof Refused ? problem.problem
      : typeof problem === 'object' && problem !== null && 'message' in problem ? { message: String(problem.message) }
      : { message: String(problem) };
    this.#add({ text: sentence(known.message), bad: true, ...(known.hint ? { hint: sentence(known.hint) } : {}) });
  }

  drop(id: number): void {
    this.list = this.list.filter((notice) => notice.id !== id);
  }

  #add(notice: Omit<Notice, 'id'>): number {
    const id = this.#next++;
    const others = this.list.filter((one) => one.text !== notice.text);
    this.list = [...others, { id, ...notice }].slice(-NOTICES_MAX);
    return id;
  }
}

export const notices = new Notices();

/** Does something that the node may refuse; a refusal is said. Whether it went well. */
export async function attempt(act: () => Promise<unknown>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    notices.complain(error);
    return false;
  }
}
