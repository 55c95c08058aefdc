// Files on their way from this browser to the node's shared folder.

export type Upload = { id: number; name: string; bytes: number; sent: number; stop: () => void };

class Uploads {
  list = $state.raw<Upload[]>([]);
  #next = 1;

  add(name: string, bytes: number): number {
    const id = this.#next++;
    this.list = [...this.list, { id, name, bytes, sent: 0, stop: () => {} }];
    return id;
  }

  sent(id: number, sent: number): void {
    this.list = this.list.map((one) => (one.id === id ? { ...one, sent } : one));
  }

  stoppable(id: number, stop: () => void): void {
    this.list = this.list.map((one) => (one.id === id ? { ...one, stop } : one));
  }

  end(id: number): void {
    this.list = this.list.filter((one) => one.id !== id);
  }
}

export const uploads = new Uploads();
