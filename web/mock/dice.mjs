// Numbers that look random and are the same on every run.

export class Dice {
  constructor(seed) {
    this.state = seed >>> 0 || 1;
  }

  /** 0 to 1. */
  next() {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  below(n) {
    return Math.floor(this.next() * n);
  }

  between(low, high) {
    return low + this.next() * (high - low);
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  some(list, chance) {
    return list.filter(() => this.next() < chance);
  }

  hex(digits) {
    return Array.from({ length: digits }, () => this.below(16).toString(16)).join('');
  }
}
